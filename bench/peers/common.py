# SPDX-License-Identifier: MIT
"""Helpers shared by the peer measurements: timing, resident memory, foreign CPU load, one JSON line per result."""
import gc, json, os, platform, resource, statistics, sys, time

HZ = os.sysconf("SC_CLK_TCK")


def status_kb(key):
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


def rss_mb():
    return status_kb("VmRSS") / 1024


def reset_peak():
    """Restart the kernel's record of the highest resident size (VmHWM); False where that is not allowed."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
        return True
    except OSError:
        return False


def peak_mb():
    return status_kb("VmHWM") / 1024


def busy_jiffies():
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return sum(v) - v[3] - v[4]


def own_seconds():
    a = resource.getrusage(resource.RUSAGE_SELF)
    b = resource.getrusage(resource.RUSAGE_CHILDREN)
    return a.ru_utime + a.ru_stime + b.ru_utime + b.ru_stime


class Foreign:
    """CPUs kept busy by other processes between two points."""

    def __enter__(self):
        self.t, self.b, self.o = time.perf_counter(), busy_jiffies(), own_seconds()
        return self

    def __exit__(self, *_):
        dt = max(time.perf_counter() - self.t, 1e-9)
        self.cpus = round(max(0.0, ((busy_jiffies() - self.b) / HZ - (own_seconds() - self.o)) / dt), 2)


def quiet(limit=0.15, hold=1.0, wait=None):
    """Wait (at most `wait` seconds) for a stretch in which other processes leave the machine alone."""
    wait = float(os.environ.get("PEERS_QUIET_WAIT", 30)) if wait is None else wait
    end = time.time() + wait
    while time.time() < end:
        with Foreign() as f:
            time.sleep(hold)
        if f.cpus < limit:
            return True
    return False


def clock(fns, budget=3.0, least=5, most=200, warm=1, tries=3):
    """Time the named functions in turn (interleaved, so that ratios see the same weather).
    Returns {name: {"med":, "min":, "n":}} in seconds, and the foreign load; a disturbed run is repeated."""
    for _ in range(warm):
        for f in fns.values():
            f()
    best = None
    for _ in range(tries):
        r = _clock(fns, budget, least, most)
        if best is None or r[1] < best[1]:
            best = r
        if best[1] < 0.15:
            break
    return best


def _clock(fns, budget, least, most):
    ts = {k: [] for k in fns}
    quiet()
    gc.collect()
    gc.disable()
    t0 = time.perf_counter()
    with Foreign() as fo:
        for i in range(most):
            for k, f in fns.items():
                t = time.perf_counter()
                f()
                ts[k].append(time.perf_counter() - t)
            if i + 1 >= least and time.perf_counter() - t0 > budget:
                break
    gc.enable()
    return {k: {"med": statistics.median(v), "min": min(v), "n": len(v)} for k, v in ts.items()}, fo.cpus


def machine():
    d = {}
    with open("/proc/cpuinfo") as f:
        for line in f:
            k, _, v = line.partition(":")
            if k.strip() in ("model name", "cpu family", "model", "cache size") and k.strip() not in d:
                d[k.strip()] = v.strip()
            if k.strip() == "flags" and "flags" not in d:
                d["flags"] = [x for x in v.split() if x.startswith(("avx512f", "avx512_bf16", "avx512_fp16", "amx"))]
    d["cpus"] = os.cpu_count()
    d["python"] = platform.python_version()
    from importlib import metadata
    for p in ("torch", "numpy", "trl", "transformers", "liger-kernel", "peft", "accelerate"):
        try:
            d[p] = metadata.version(p)
        except metadata.PackageNotFoundError:
            pass
    return d


def emit(**kw):
    def r(x):
        if isinstance(x, float):
            return float(f"{x:.5g}")
        if isinstance(x, dict):
            return {k: r(v) for k, v in x.items()}
        return x
    print(json.dumps({k: r(v) for k, v in kw.items()}), flush=True)
