# SPDX-License-Identifier: MIT
"""Prints what bench/peers/run measured: nanoseconds per pair of the loss pass, pairs per second of a step."""
import json
import sys
from pathlib import Path

folder, threads = Path(sys.argv[1]), int(sys.argv[2])
peers = [json.loads(line) for line in (folder / "peers.jsonl").read_text().splitlines()]


def ours(file):
    """{name: median} of a Google Benchmark file."""
    rows = json.loads((folder / file).read_text())["benchmarks"]
    return {r["run_name"]: r for r in rows if r.get("aggregate_name") == "median"}


def row(*cells):
    print("  ".join(str(c).rjust(w) for c, w in zip(cells, (10, 8, 26, 12, 12))))


loss = ours("loss.json")
row("pairs", "threads", "loss pass", "ns/pair", "times ours")
for n in (10_000, 1_000_000, 10_000_000):
    t = 1 if n == 10_000 else threads
    name = f"pairs:{n}/threads:{t}/real_time"
    mine = loss[f"loss_pass/dpo/{name}"]["real_time"] * 1e3 / n
    bound = loss[f"moves_bytes/{name}"]["real_time"] * 1e3 / n
    row(n, t, "prefer dpo", f"{mine:.3f}", "1.0")
    row(n, t, "moves the same bytes", f"{bound:.3f}", f"{bound / mine:.2f}")
    for p in peers:
        if p["bench"] == "loss_only" and p["n"] == n and p["impl"].startswith("torch"):
            row(n, threads, p["impl"], f"{p['ns_pair']:.3f}", f"{p['ns_pair'] / mine:.1f}")

step = ours("step.json")
print()
row("", "threads", "step", "pairs/s", "of theirs")
rate = {k.split("/")[0]: r["pairs_per_second"] for k, r in step.items() if f"/{threads}/" in k + "/"}
for kind, theirs in (("full_softmax", ("full_softmax", "full_softmax_compiled")),
                     ("cancelled", ("normaliser_cancelled", "normaliser_cancelled_compiled"))):
    if kind not in rate:
        continue
    row("", threads, f"prefer {kind}", f"{rate[kind]:.0f}", "1.0")
    for p in peers:
        if p["bench"] == "tabular" and p["impl"] in theirs:
            row("", threads, f"torch {p['impl']}", f"{p['pairs_s']:.0f}", f"{rate[kind] / p['pairs_s']:.1f}")
