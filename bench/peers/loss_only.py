# SPDX-License-Identifier: MIT
"""DPO (sigmoid) loss and its gradient wrt the policy logps, from four float arrays of sequence logps.
   Peers: numpy, torch eager autograd, torch eager with the gradient written out, torch.compile. Bounds: copy and triad."""
import argparse
import numpy as np, torch
import torch.nn.functional as F
from common import clock, emit

ap = argparse.ArgumentParser()
ap.add_argument("--n", type=float, nargs="+", default=[1e4, 1e5, 1e6, 1e7])
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--beta", type=float, default=0.1)
ap.add_argument("--compile", type=int, default=1)
ap.add_argument("--budget", type=float, default=2.0)
a = ap.parse_args()
torch.set_num_threads(a.threads)
B = a.beta


def loss_fn(pc, pr, rc, rr):
    return -F.logsigmoid(B * ((pc - rc) - (pr - rr))).mean()


def written_out(pc, pr, rc, rr):
    m = B * ((pc - pr) - (rc - rr))
    g = torch.sigmoid(-m) * (-B / m.numel())
    return -F.logsigmoid(m).mean(), g, -g


def np_fn(pc, pr, rc, rr, B=np.float32(B)):
    m = B * ((pc - rc) - (pr - rr))
    e = np.exp(-np.abs(m))
    loss = (np.maximum(-m, 0) + np.log1p(e)).mean()
    g = np.where(m >= 0, e, np.float32(1)) / (np.float32(1) + e)      # sigmoid(-m), stable
    g *= -B / np.float32(m.size)
    return loss, g, -g


if a.compile:
    c_loss = torch.compile(loss_fn, dynamic=False)
    c_written = torch.compile(written_out, dynamic=False)

for n in map(int, a.n):
    gen = torch.Generator().manual_seed(1)
    pc, pr, rc, rr = (-(60 + 20 * torch.randn(n, generator=gen)) for _ in range(4))
    for t in (pc, pr):
        t.requires_grad_(True)
    npa = [t.detach().numpy() for t in (pc, pr, rc, rr)]
    det = [t.detach() for t in (pc, pr, rc, rr)]
    big_a, big_b = torch.randn(3 * n), torch.empty(3 * n)             # 12 B/pair read + 12 B/pair written
    x, y, z = torch.randn(2 * n), torch.randn(2 * n), torch.empty(2 * n)   # exactly 4 floats read, 2 written a pair

    def auto(fn):
        def run():
            pc.grad = pr.grad = None
            l = fn(pc, pr, rc, rr)
            l.backward()
            return l, pc.grad, pr.grad
        return run

    fns = {"bound_copy24B": lambda: big_b.copy_(big_a), "bound_add_4r2w": lambda: torch.add(x, y, out=z),
           "numpy": lambda: np_fn(*npa), "torch_eager": auto(loss_fn), "torch_written_out": lambda: written_out(*det)}
    if a.compile:
        fns["torch_compile"] = auto(c_loss)
        fns["torch_compile_written_out"] = lambda: c_written(*det)
    ref = None
    for k, f in fns.items():
        if k.startswith("bound"):
            continue
        l, g, _ = f()
        g = torch.as_tensor(g)
        ref = (float(l), g.double()) if ref is None else ref
        err = float((g.double() - ref[1]).abs().max() / ref[1].abs().max())
        assert abs(float(l) - ref[0]) < 1e-3 * abs(ref[0]) and err < 1e-4, (k, float(l), ref[0], err)
    res, foreign = clock(fns, budget=a.budget, least=7, most=2000, warm=3)
    b = min(res["bound_copy24B"]["med"], res["bound_add_4r2w"]["med"])
    for k, v in res.items():
        emit(bench="loss_only", n=n, threads=a.threads, impl=k, ns_pair=v["med"] / n * 1e9, ns_pair_min=v["min"] / n * 1e9,
             us=v["med"] * 1e6, gbs_24B=24 * n / v["med"] / 1e9, times_bound=v["med"] / b, reps=v["n"], foreign_cpus=foreign)
