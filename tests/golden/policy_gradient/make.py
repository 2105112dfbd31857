#!/usr/bin/env python3
"""Golden values of policy gradients, computed in float64 by TRL's own trainers. See README.md.

    python make.py [--out DIR] [--seed N] [--only ppo|rloo|grpo ...]

Trainers are built without __init__ and given what their methods read; a fake model answers with the log-probabilities and
values chosen here, and the trainer's real methods do the rest. What a method does not return is read from its local
variables while it runs. Families that the trl on PYTHONPATH does not have are skipped, so one script serves several
releases.
"""
import argparse, contextlib, json, math, os, random, sys, warnings
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace as NS

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", TRL_EXPERIMENTAL_SILENCE="1")
warnings.filterwarnings("ignore")
import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
import trl

PLAIN, EOS, PAD = 5, 9, 0


class Anything:
    """Whatever is asked of it does nothing: loggers, schedulers, callbacks."""
    def __getattr__(self, name): return Anything()
    def __call__(self, *a, **k): return Anything()
    def __getitem__(self, key): return Anything()


class Accelerator:
    device, num_processes, process_index, is_main_process, sync_gradients = torch.device("cpu"), 1, 0, True, True
    def gather(self, x): return x
    def gather_for_metrics(self, x): return x
    def reduce(self, x, reduction="sum"): return x
    def unwrap_model(self, m): return m
    def accumulate(self, m): return contextlib.nullcontext()
    def backward(self, loss): loss.backward()
    def print(self, *a): pass


def bare(cls, **attrs):
    obj = cls.__new__(cls)
    obj.__dict__.update(accelerator=Accelerator(), _metrics=defaultdict(lambda: defaultdict(list)),
                        _logs=Anything(), **attrs)
    return obj


def watched(function, names, *args):
    """function(*args), and every value that its local variables of these names took, in order, as copies of their last state."""
    history, last, code = {n: [] for n in names}, {}, function.__func__.__code__

    def look(frame, event, arg):
        for name in names:
            x = frame.f_locals.get(name)
            if not isinstance(x, torch.Tensor):
                continue
            if last.get(name) is not x:
                last[name] = x
                history[name].append(x.detach().clone())
            else:
                history[name][-1] = x.detach().clone()  # it may have been written into
        return look

    sys.settrace(lambda frame, event, arg: look if frame.f_code is code else None)
    try:
        out = function(*args)
    finally:
        sys.settrace(None)
    return out, history


def num(x):
    if isinstance(x, torch.Tensor):
        x = x.detach().tolist()
    return [num(v) for v in x] if isinstance(x, (list, tuple)) else x


def pad(rows, width, value=0.0):
    return torch.tensor([list(r) + [value] * (width - len(r)) for r in rows])


def ragged(t, lengths):
    return [t[i, :n].tolist() for i, n in enumerate(lengths)]


class Family:
    def __init__(self, name, about):
        self.name, self.about, self.inputs, self.cases = name, about, {}, []

    def add(self, inputs, hyper, **out):
        out = {k: num(v) for k, v in out.items()}
        text = json.dumps(out)
        assert not any(s in text for s in ("NaN", "Infinity")), text
        self.cases.append({"id": f"{self.name}/{len(self.cases):04d}", "loss_type": self.name, "inputs": inputs, "hyper": hyper,
                           "source": "trl", **out, "finite": True})

    def write(self, out, meta):
        head = {"family": self.name, "about": self.about, **meta}
        lines = [json.dumps({k: v})[1:-1] for k, v in head.items()]
        body = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.inputs.items())
        rows = ",\n".join(json.dumps(c) for c in self.cases)
        text = "{" + ",\n".join(lines) + ',\n"inputs": {\n' + body + '\n},\n"cases": [\n' + rows + "\n]}\n"
        (out / f"{self.name}.json").write_text(text)
        print(f"{self.name}.json: {len(self.cases)} cases, {len(text) / 1024:.0f} KiB")


def completions(r, lengths, move=0.3):
    """Log-probabilities of tokens: as they were written, under the reference, and after some steps."""
    old = [[round(-min(r.expovariate(1.2) + 1e-3, 6), 4) for _ in range(n)] for n in lengths]
    near = lambda s: [[round(min(v + r.gauss(0, s), -1e-3), 4) for v in row] for row in old]
    return {"behaviour": old, "reference": near(0.4), "policy": near(move)}


# ---------------------------------------------------------------- PPO
def make_ppo(r):
    from trl.experimental.ppo import ppo_trainer
    from trl.experimental.ppo import PPOTrainer
    fam = Family("ppo", "PPOTrainer.train, one update of one batch")

    def inputs(lengths, width):
        """Answers shorter than the width end with a stop token, and have a value for the state after it."""
        steps = [n + (n < width) for n in lengths]
        x = completions(r, lengths)
        x["value"] = [[round(r.gauss(0, 1), 3) for _ in range(s)] for s in steps]
        x["new_value"] = [[round(v + r.gauss(0, 0.3), 3) for v in row] for row in x["value"]]
        x["score"] = [round(r.gauss(0.5, 1.5), 3) for _ in lengths]
        return x
    widths = {"ended": 8, "cut_off": 6, "single": 5, "one_token": 3}
    fam.inputs = {"ended": inputs([3, 7, 5, 1], 8), "cut_off": inputs([6, 2, 6, 4], 6), "single": inputs([4], 5),
                  "one_token": inputs([1, 1, 2], 3)}

    def run(name, h):
        x, width = fam.inputs[name], widths[name]
        lengths = [len(row) for row in x["behaviour"]]
        steps = [len(row) for row in x["value"]]
        n = len(lengths)
        response = torch.tensor([[PLAIN] * (k - 1) + [EOS if k < width else PLAIN] + [PAD] * (width - k) for k in lengths])
        query = torch.full((n, 1), PLAIN)
        new, vpred = (pad(x[k], width).requires_grad_() for k in ("policy", "new_value"))
        # Answers of the fakes, in the order in which train asks.
        picked = iter([pad(x["behaviour"], width), pad(x["reference"], width), new])
        ppo_trainer.selective_log_softmax = lambda logits, ids: next(picked)
        value = pad(x["value"], width)
        whole = lambda v: torch.cat((v, torch.zeros(n, 1)), 1)[:, :, None]  # column t + 1 of what is read is t of the answer
        ppo_trainer.batch_generation = lambda *a: (torch.cat((query, response), 1), torch.zeros(n, width, 1))
        ppo_trainer.unwrap_model_for_generation = lambda m, *a, **k: contextlib.nullcontext(m)
        logits = lambda: NS(logits=torch.zeros(n, width + 1, 1))
        ppo_trainer.forward = lambda m, *a: logits() if m == "reference" else (logits(), whole(vpred))
        ppo_trainer.get_reward = lambda m, *a: (whole(value), None, None) if m == "value" else (None, torch.tensor(x["score"]), None)
        ppo_trainer.np = NS(random=NS(permutation=torch.arange))
        ppo_trainer.GenerationConfig = lambda **k: None
        args = NS(num_total_batches=1, num_ppo_epochs=1, num_mini_batches=1, gradient_accumulation_steps=1, batch_size=n,
                  local_batch_size=n, local_mini_batch_size=n, per_device_train_batch_size=n, total_episodes=n, response_length=width,
                  local_rollout_forward_batch_size=n, temperature=1.0, logging_steps=None, eval_steps=None, save_steps=None,
                  ds3_gather_for_generation=False, num_sample_generations=0, **h)
        trainer = bare(PPOTrainer, args=args, optimizer=Anything(), ref_model="reference", reward_model="reward",
                       model=NS(policy="policy", value_model="value", train=lambda: None), dataloader=[{"input_ids": query}],
                       processing_class=NS(pad_token_id=PAD, eos_token_id=EOS), stop_token_id=EOS, train_dataset_len=n,
                       state=NS(), control=NS(should_save=False), callback_handler=NS(on_train_begin=lambda a, s, c: c, on_step_end=lambda a, s, c: c,
                       on_train_end=lambda a, s, c: c), is_deepspeed_enabled=False, log=lambda m: None,
                       lr_scheduler=NS(get_last_lr=lambda: [0.0], step=lambda: None))
        _, seen = watched(trainer.train, ["rewards", "advantages", "returns", "loss", "pg_loss", "vf_loss", "pg_clipfrac", "vf_clipfrac"])
        last = lambda k: seen[k][-1]
        fam.add(name, h, reward=ragged(last("rewards"), steps), advantage_before_whitening=ragged(seen["advantages"][0], steps),
                advantage=ragged(last("advantages"), lengths), value_target=ragged(last("returns"), steps), loss=last("loss"),
                policy_loss=last("pg_loss"), value_loss=last("vf_loss"), policy_clipped=last("pg_clipfrac"), value_clipped=last("vf_clipfrac"),
                grad_policy=ragged(new.grad, lengths), grad_value=ragged(vpred.grad, steps))

    base = dict(kl_coef=0.05, kl_estimator="k1", whiten_rewards=False, gamma=1.0, lam=0.95, cliprange=0.2, cliprange_value=0.2, vf_coef=0.1,
                missing_eos_penalty=None)
    changes = [{}, dict(kl_estimator="k3", kl_coef=0.4), dict(whiten_rewards=True), dict(gamma=0.9, lam=0.5), dict(lam=0.0), dict(lam=1.0),
               dict(kl_coef=0.0), dict(gamma=0.0), dict(cliprange=0.05, cliprange_value=0.05, vf_coef=1.0),
               dict(kl_coef=0.4, whiten_rewards=True, gamma=0.97), dict(missing_eos_penalty=1.0)]
    for name in fam.inputs:
        for change in changes:
            if "missing_eos_penalty" in change and name != "cut_off":
                continue
            run(name, base | change)
    return fam


# ---------------------------------------------------------------- RLOO and GRPO
def group_inputs(r, lengths, group, move=0.3):
    x = completions(r, lengths, move)
    x["score"] = [round(r.gauss(0, 1), 3) for _ in lengths]
    x["cut_off"] = [i % 3 == 2 for i in range(len(lengths))]
    return x | {"group": group}


def group_trainer(cls, module, x, width, h, **more):
    """A trainer that has written x; it asks its model for what it wrote, for the reference, and for the policy as it is now."""
    n = len(x["score"])
    lengths = [len(row) for row in x["behaviour"]]
    new = pad(x["policy"], width).requires_grad_()
    ids = [[PLAIN] * (k - 1) + [PLAIN if cut else EOS] for k, cut in zip(lengths, x["cut_off"])]
    module.gather = module.gather_object = lambda t: t
    module.disable_gradient_checkpointing = lambda *a: contextlib.nullcontext()
    model = NS(training=True)
    tokenizer = NS(pad_token_id=PAD)
    t = bare(cls, model=model, ref_model="reference", _tokenizer=tokenizer, processing_class=tokenizer, eos_token_ids=[EOS],
             pad_to_multiple_of=None, num_generations=x["group"], num_generations_eval=x["group"], beta=h["beta"],
             epsilon_low=h["epsilon_low"], epsilon_high=h["epsilon_high"], reward_weights=torch.tensor([1.0]), reward_func_names=["true"],
             reward_funcs=[None], num_iterations=2, mask_truncated_completions=h.get("mask_truncated", False), aux_loss_enabled=False,
             environment_factories=None, environments=None, tools=[], log_multimodal=False, _pending_extra_logs={}, _pending_metrics={}, state=NS(num_input_tokens_seen=0),
             use_vllm=False, max_completion_length=width, current_gradient_accumulation_steps=1, **more)
    t.args.__dict__.update(per_device_train_batch_size=n, per_device_eval_batch_size=n, gradient_checkpointing_kwargs=None)
    t._calculate_rewards = lambda *a: torch.tensor(x["score"])[:, None]
    zeros = torch.zeros(n, width)

    def log_probs(asked, *a, **k):
        if asked == "reference":
            return pad(x["reference"], width), None, None
        return (pad(x["behaviour"], width), None, None) if not k.get("compute_entropy") else (new, zeros, None)
    t._get_per_token_logps_and_entropies = log_probs
    return t, ids, lengths, new, [{"prompt": "q"}] * n


def make_rloo(r):
    from trl.trainer import rloo_trainer
    fam = Family("rloo", "RLOOTrainer._generate_and_score_completions, then _compute_loss")
    fam.inputs = {"pairs": group_inputs(r, [3, 6, 2, 5], 2), "fours": group_inputs(r, [4, 1, 6, 3, 2, 2, 5, 1], 4, 0.1),
                  "one_group": group_inputs(r, [2, 3, 4], 3, 0.05)}
    base = dict(beta=0.05, epsilon_low=0.2, epsilon_high=0.2, normalize_advantages=False, reward_clip_range=None)
    changes = [{}, dict(beta=0.0), dict(beta=0.5), dict(epsilon_low=0.1, epsilon_high=0.4), dict(normalize_advantages=True),
               dict(reward_clip_range=[-0.5, 0.5])]
    for name, x in fam.inputs.items():
        for change in changes:
            h = base | change
            width = max(len(row) for row in x["behaviour"])
            t, ids, lengths, new, rows = group_trainer(rloo_trainer.RLOOTrainer, rloo_trainer, x, width, h, args=NS(),
                                                       normalize_advantages=h["normalize_advantages"], reward_clip_range=h["reward_clip_range"])
            t._generate = lambda prompts: ([[PLAIN]] * len(ids), ids, [""] * len(ids))
            given = t._generate_and_score_completions(rows)
            (loss), seen = watched(t._compute_loss, ["per_sequence_loss", "is_region_clipped"], t.model, given)
            loss.backward()
            fam.add(name, h, advantage=given["advantages"], behaviour_log_prob=given["old_logps"], loss=loss,
                    per_example_loss=seen["per_sequence_loss"][-1], clipped=seen["is_region_clipped"][-1], grad_policy=ragged(new.grad, lengths))
    return fam


def make_grpo(r):
    from trl.trainer import grpo_trainer
    fam = Family("grpo", "GRPOTrainer._generate_and_score_completions, then _compute_loss")
    fam.inputs = {"pairs": group_inputs(r, [3, 6, 2, 5], 2), "fours": group_inputs(r, [4, 1, 6, 3, 2, 2, 5, 1], 4, 0.1),
                  "equal_scores": group_inputs(r, [2, 3, 4], 3) | {"score": [0.25, 0.25, 0.25]}}
    base = dict(beta=0.04, epsilon_low=0.2, epsilon_high=0.2, scale_rewards="group", loss_type="dapo", mask_truncated=False)
    changes = [{}, dict(beta=0.0), dict(epsilon_high=0.28), dict(scale_rewards="none"), dict(scale_rewards="batch"), dict(loss_type="grpo"),
               dict(loss_type="bnpo"), dict(loss_type="dr_grpo"), dict(mask_truncated=True), dict(mask_truncated=True, loss_type="grpo"),
               dict(mask_truncated=True, loss_type="dr_grpo"), dict(beta=0.5, epsilon_low=0.05, epsilon_high=0.05)]
    for name, x in fam.inputs.items():
        for change in changes:
            h = base | change
            width = max(len(row) for row in x["behaviour"])
            args = NS(steps_per_generation=1, gradient_accumulation_steps=1, delta=None, use_bias_correction_kl=False)
            t, ids, lengths, new, rows = group_trainer(grpo_trainer.GRPOTrainer, grpo_trainer, x, width, h, args=args, scale_rewards=h["scale_rewards"],
                                                       loss_type=h["loss_type"], multi_objective_aggregation="sum_then_normalize",
                                                       importance_sampling_level="token", top_entropy_quantile=1.0, off_policy_mask_threshold=None,
                                                       vllm_importance_sampling_correction=False, _entropy_bonus_enabled=False)
            t._generate = lambda prompts: ([[PLAIN]] * len(ids), ids, None, [""] * len(ids), None, {}, None, None)
            given = t._generate_and_score_completions(rows)
            loss, seen = watched(t._compute_loss, ["per_token_loss", "is_region_clipped"], t.model, given)
            loss.backward()
            fam.add(name, h, advantage=given["advantages"], loss=loss, token_loss=ragged(seen["per_token_loss"][-1], lengths),
                    clipped=ragged(seen["is_region_clipped"][-1], lengths), grad_policy=ragged(new.grad, lengths))
    return fam


MAKERS = dict(ppo=make_ppo, rloo=make_rloo, grpo=make_grpo)

if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    ap.add_argument("--seed", type=int, default=20170720)
    ap.add_argument("--only", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    a = ap.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    meta = dict(schema=1, trl=trl.__version__, torch=torch.__version__.split("+")[0], dtype="float64", seed=a.seed)
    for name in a.only:
        try:
            family = MAKERS[name](random.Random(f"{name}:{a.seed}"))
        except ImportError as e:
            print(f"{name}: not in trl {trl.__version__}, skipped ({e})")
            continue
        family.write(a.out, meta)
