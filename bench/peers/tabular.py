# SPDX-License-Identifier: MIT
"""Softmax policy over items from matrix factorisation: DPO on (user, chosen, rejected) triples with full-softmax logps, Adam.
Also the form that sees that the normaliser cancels within a pair."""
import argparse
import torch
import torch.nn.functional as F
from common import clock, emit

ap = argparse.ArgumentParser()
ap.add_argument("--users", type=int, default=943)
ap.add_argument("--items", type=int, default=1682)
ap.add_argument("--dim", type=int, default=64)
ap.add_argument("--batch", type=int, default=1024)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--beta", type=float, default=0.1)
ap.add_argument("--compile", type=int, default=1)
a = ap.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(0)
U = (0.1 * torch.randn(a.users, a.dim)).requires_grad_(True)
I = (0.1 * torch.randn(a.items, a.dim)).requires_grad_(True)
Ur, Ir = U.detach().clone(), I.detach().clone()
u, c, r = (torch.randint(k, (a.batch,)) for k in (a.users, a.items, a.items))


def logps(U, I, u, c, r):
    z = (U[u] @ I.t()).log_softmax(-1)
    return z.gather(1, c[:, None]).squeeze(1), z.gather(1, r[:, None]).squeeze(1)


with torch.no_grad():
    rc, rr = logps(Ur, Ir, u, c, r)


def full(U, I):
    pc, pr = logps(U, I, u, c, r)
    return -F.logsigmoid(a.beta * ((pc - rc) - (pr - rr))).mean()


def full_ref(U, I):
    with torch.no_grad():
        qc, qr = logps(Ur, Ir, u, c, r)
    pc, pr = logps(U, I, u, c, r)
    return -F.logsigmoid(a.beta * ((pc - qc) - (pr - qr))).mean()


def cancelled(U, I):
    d = (U[u] * (I[c] - I[r])).sum(-1)
    return -F.logsigmoid(a.beta * (d - (rc - rr))).mean()


def stepper(f):
    opt = torch.optim.Adam([U, I], lr=1e-3)

    def run():
        opt.zero_grad(set_to_none=True)
        f(U, I).backward()
        opt.step()
    return run


x, o = torch.randn(a.batch, a.dim), torch.empty(a.batch, a.items).normal_()
dx, dI = torch.empty(a.batch, a.dim), torch.empty(a.items, a.dim)


def gemms():
    torch.mm(x, I.detach().t(), out=o)
    torch.mm(o, I.detach(), out=dx)
    torch.mm(o.t(), x, out=dI)


fns = {"full_softmax": stepper(full), "full_softmax_and_reference": stepper(full_ref), "normaliser_cancelled": stepper(cancelled), "bound_gemms": gemms}
if a.compile:
    fns["full_softmax_compiled"] = stepper(torch.compile(full))
    fns["normaliser_cancelled_compiled"] = stepper(torch.compile(cancelled))
res, foreign = clock(fns, budget=6, least=20, most=2000, warm=5)
for k, v in res.items():
    emit(bench="tabular", impl=k, batch=a.batch, threads=a.threads, ms=v["med"] * 1e3, ms_min=v["min"] * 1e3, pairs_s=a.batch / v["med"], times_gemms=v["med"] / res["bound_gemms"]["med"], reps=v["n"], foreign_cpus=foreign)
