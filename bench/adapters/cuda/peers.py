#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Log-probabilities of tokens from hidden states on one GPU: Liger's, TRL's and PyTorch's kernels beside ours.

bench/adapters/cuda/peers.py <kernels>

Runs the compiled bench/adapters/cuda/kernels.cu and, after it on the same device, the same shapes in Python: the shortest of some
runs, forward and forward with both derivatives, in milliseconds, with the highest memory beyond inputs and gradients, and ours
over theirs. A library that is not installed, or does not take the shape, is a line that says so. bench/adapters/cuda/run calls it.
"""
import gc
import json
import subprocess
import sys

import torch
import torch.nn.functional as F

WIDTH, VOCABULARY, REPETITIONS = 4096, 128256, 20


def eager(hidden, matrix, ids):
    logits = (hidden @ matrix.t()).float()
    return logits.gather(-1, ids.unsqueeze(-1)).squeeze(-1) - torch.logsumexp(logits, -1)


def liger():
    """A mean of all tokens: it gives no others with derivatives. They are made in its forward pass."""
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    loss = LigerFusedLinearCrossEntropyLoss()
    return lambda hidden, matrix, ids: -loss(matrix, hidden, ids)


def trl():
    from trl.kernels import ChunkedLogProbFunction
    import trl.trainer.utils as utils
    chunk = utils._CHUNKED_LOGPROB_CHUNK_SIZE
    return lambda hidden, matrix, ids: ChunkedLogProbFunction.apply(
        hidden, matrix, None, ids, 1.0, chunk, None, 1.0, ("log_probs",))[0]


peers = {
    "PyTorch, eager": lambda: eager,
    "PyTorch, compiled": lambda: torch.compile(eager, dynamic=False),
    "Liger": liger,
    "TRL, chunked": trl,
}


def milliseconds(work):
    work()
    best = float("inf")
    for _ in range(REPETITIONS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        end.synchronize()
        best = min(best, begin.elapsed_time(end))
    return best


def measured(make, rows):
    """Forward, forward and backward, and MiB beyond what goes in and comes out."""
    torch.manual_seed(0)
    hidden = torch.randn(rows, WIDTH, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    matrix = (torch.randn(VOCABULARY, WIDTH, device="cuda") / WIDTH**0.5).bfloat16().requires_grad_()
    ids = torch.randint(VOCABULARY, (rows,), device="cuda")
    log_prob = make()

    def forward():
        with torch.no_grad():
            log_prob(hidden, matrix, ids)

    def both():
        hidden.grad = matrix.grad = None
        log_prob(hidden, matrix, ids).sum().backward()

    took = milliseconds(forward), milliseconds(both)
    hidden.grad = matrix.grad = None
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    both()
    gradients = (hidden.numel() + matrix.numel()) * hidden.element_size()
    memory = (torch.cuda.max_memory_allocated() - before - gradients) / 2**20
    return *took, memory


def main():
    if not torch.cuda.is_available():
        sys.exit("peers: there is no GPU that PyTorch sees")
    said = subprocess.run([sys.argv[1], "--json"], capture_output=True, text=True, check=True).stdout
    ours = {row["name"]: row for row in map(json.loads, said.splitlines())}
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}")
    print(f"{'rows':>6}  {'whose':<20} {'forward, ms':>12} {'and backward':>13} {'ours / theirs':>20} {'MiB':>8}")
    for rows in (4096, 8192):
        shape = f"{rows} x {WIDTH} x {VOCABULARY} bfloat16"
        forward, both = ours[f"linear_log_prob, {shape}"], ours[f"and its derivatives, {shape}"]
        print(f"{rows:>6}  {'prefer':<20} {forward['ms']:>12.2f} {both['ms']:>13.2f}")
        print(f"{'':>6}  {'bare products':<20} {forward['bound_ms']:>12.2f} {both['bound_ms']:>13.2f} "
              f"{forward['ms'] / forward['bound_ms']:>10.2f}{both['ms'] / both['bound_ms']:>10.2f}")
        for name, make in peers.items():
            gc.collect()
            torch.cuda.empty_cache()
            try:
                first, second, memory = measured(make, rows)
            except (ImportError, AttributeError, RuntimeError, TypeError) as error:
                print(f"{'':>6}  {name:<20} not measured: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
                continue
            print(f"{'':>6}  {name:<20} {first:>12.2f} {second:>13.2f} {forward['ms'] / first:>10.2f}"
                  f"{both['ms'] / second:>10.2f} {memory:>8.0f}")


main()
