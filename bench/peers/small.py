# SPDX-License-Identifier: MIT
"""A DPO step of a tiny model, 0.9 million parameters, in plain PyTorch and by bench/lm/small.cpp, in turns: after each turn of PyTorch's
one of ours of as many steps on as many tokens, so that ratios see the same weather.

   python bench/peers/small.py --program build/bench/bench/lm_small

Llama's layers, 4 of width 128, a vocabulary of 512, prompts of 32 tokens and completions of 32; AdamW; cached reference. Needs torch.
Prints one JSON line for each number of pairs."""
import argparse
import json
import os
import statistics
import subprocess
import time

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--program", required=True, help="lm_small, built from bench/lm/small.cpp")
ap.add_argument("--pairs", type=int, nargs="+", default=[32, 1])
ap.add_argument("--turns", type=int, default=9)
ap.add_argument("--steps", type=int, default=20, help="of a turn")
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--fused", action="store_true", help="PyTorch's fused AdamW")
ap.add_argument("--products", default="", help="the library that ours multiplies by; the fastest that it is built with")
a = ap.parse_args()

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # its threads do not spin while ours compute
import torch
import torch.nn.functional as F
from common import Foreign, emit, quiet
from torch import nn

torch.set_num_threads(a.threads)
torch.manual_seed(0)
WIDTH, LAYERS, HEADS, INNER, VOCABULARY, TEXT = 128, 4, 4, 344, 512, 32
SIZE = WIDTH // HEADS


class Norm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x):
        return F.rms_norm(x, (WIDTH,), self.weight, 1e-5)


def turned(x, cosine, sine):
    u, v = x.chunk(2, -1)
    return torch.cat((u * cosine - v * sine, v * cosine + u * sine), -1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.middle = Norm(), Norm()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.gate_up, self.down = nn.Linear(WIDTH, 2 * INNER, bias=False), nn.Linear(INNER, WIDTH, bias=False)

    def forward(self, x, cosine, sine):
        rows, length, _ = x.shape
        q, k, v = self.qkv(self.before(x)).view(rows, length, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(turned(q, cosine, sine), turned(k, cosine, sine), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(rows, length, WIDTH))
        gate, up = self.gate_up(self.middle(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.last, self.head = Norm(), nn.Linear(WIDTH, VOCABULARY, bias=False)
        angles = torch.outer(torch.arange(2 * TEXT).float(), 1e4 ** (-torch.arange(0, SIZE, 2).float() / SIZE))
        self.register_buffer("cosine", angles.cos())
        self.register_buffer("sine", angles.sin())

    def forward(self, ids):
        """Log-probabilities of what follows the prompts; the output layer reads no prompt, as ours does not."""
        x = self.embedding(ids[:, :-1])
        for layer in self.layers:
            x = layer(x, self.cosine[:-1], self.sine[:-1])
        z = self.head(self.last(x[:, TEXT - 1:]))
        return z.log_softmax(-1).gather(-1, ids[:, TEXT:].unsqueeze(-1)).squeeze(-1).sum(-1)


for pairs in a.pairs:
    model = Small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=a.fused)
    ids = torch.randint(VOCABULARY, (2 * pairs, 2 * TEXT))
    ids[pairs:, :TEXT] = ids[:pairs, :TEXT]
    with torch.no_grad():
        reference = model(ids)

    def step():
        optimizer.zero_grad(set_to_none=True)
        d = model(ids) - reference
        loss = -F.logsigmoid(0.1 * (d[:pairs] - d[pairs:])).mean()
        loss.backward()
        optimizer.step()

    def turn():
        times = []
        for _ in range(a.steps):
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    ours = subprocess.Popen([a.program, f"pairs={pairs}", f"threads={a.threads}", f"products={a.products}", f"steps={a.steps}", "ask=1"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def our_turn():
        ours.stdin.write("turn\n")
        ours.stdin.flush()
        return json.loads(ours.stdout.readline())

    turn(), our_turn()
    quiet()
    with Foreign() as foreign:
        both = [(turn(), our_turn()) for _ in range(a.turns)]
    ours.stdin.close()
    ours.wait()
    emit(bench="small", pairs=pairs, parameters=sum(p.numel() for p in model.parameters()), threads=a.threads, fused=a.fused,
         torch_ms=1e3 * statistics.median(t for t, _ in both), ours_ms=1e3 * statistics.median(o["seconds"] for _, o in both),
         times_torch=statistics.median(t / o["seconds"] for t, o in both), products=both[0][1]["products"], foreign_cpus=foreign.cpus)
