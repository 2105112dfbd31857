# SPDX-License-Identifier: MIT
"""A DPO step of SmolLM2-135M by TRL's DPOTrainer and by bench/lm/step.cpp, in turns: after each step of TRL's, one of ours on as many
pairs of as many tokens, so that ratios see the same weather. Each setting runs in a process of its own, as peak memory asks for.

   python bench/peers/step.py --model SmolLM2.gguf --program build/bench/bench/lm_step

Needs torch, transformers, trl, peft, gguf. Prints one JSON line for each setting; --settings takes some of them."""
import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

# TRL's mode, its numbers, what our program is told beside the sizes. Where it says so, the reference is a model that both ask in
# each step; else its log-probabilities are known.
SETTINGS = {
    "full_f32": ("full", "float32", ["mode=full"]),
    "full_f32_micro": ("full", "float32", ["mode=full", "micro=2"]),
    "full_f32_reference": ("full", "float32", ["mode=full", "micro=2", "reference=frozen"]),
    "lora_f32": ("lora", "float32", ["mode=lora"]),
    "lora_f32_micro": ("lora", "float32", ["mode=lora", "micro=2"]),
    "lora_bf16": ("lora", "bfloat16", ["mode=lora", "weights=bf16", "compute=bf16"]),
    "lora_bf16_micro": ("lora", "bfloat16", ["mode=lora", "weights=bf16", "compute=bf16", "micro=2"]),
    "lora_q8_micro": ("lora", "bfloat16", ["mode=lora", "weights=as_stored", "compute=bf16", "micro=2"]),
}

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--model", required=True, help="a GGUF file")
ap.add_argument("--program", required=True, help="lm_step, built from bench/lm/step.cpp")
ap.add_argument("--settings", default=",".join(SETTINGS))
ap.add_argument("--pairs", type=int, default=4)
ap.add_argument("--prompt", type=int, default=64)
ap.add_argument("--completion", type=int, default=64)
ap.add_argument("--steps", type=int, default=8)
ap.add_argument("--warm", type=int, default=2)
ap.add_argument("--threads", type=int, default=2)
ap.add_argument("--products", default="", help="the library that ours multiplies by; the fastest that it is built with")
ap.add_argument("--one", help=argparse.SUPPRESS)
a = ap.parse_args()

if not a.one:
    for name in a.settings.split(","):
        if name not in SETTINGS:
            sys.exit(f"--settings: {name}, expected some of {', '.join(SETTINGS)}")
        done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", name], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"{name} ended with {done.returncode}")
        print(done.stdout.strip().splitlines()[-1], flush=True)
    sys.exit()

import copy
import logging
import os
import random
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # its threads do not spin while ours compute
warnings.filterwarnings("ignore")
import torch
from common import Foreign, emit, peak_mb, quiet, reset_peak
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer

torch.set_num_threads(a.threads)
logging.disable(logging.WARNING)
mode, dtype, told = SETTINGS[a.one]
asks_reference = "reference=frozen" in told
folder, file = str(Path(a.model).parent), Path(a.model).name

tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=file)
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token
read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
config = read.config
if hasattr(config, "quantization_config"):
    del config.quantization_config  # the trainer refuses a model that is marked as quantised
model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
model.load_state_dict(read.state_dict())
del read
if dtype == "bfloat16":
    model = model.to(torch.bfloat16)

words = [w for w in "the cat dog house tree water light small large green blue walk run talk think good time year people way day man "
         "world school state family group country place case week system question work night point home room area money story"
         .split() if len(tokenizer.encode(" " + w)) == 1]
draw = random.Random(0)


def text(count, begins):
    return "".join((w if begins and i == 0 else " " + w) for i, w in enumerate(draw.choice(words) for _ in range(count)))


rows = [{"prompt": text(a.prompt, True), "chosen": text(a.completion - 1, False), "rejected": text(a.completion - 1, False)}
        for _ in range(a.pairs * a.steps)]
ours = subprocess.Popen(
    [a.program, f"model={a.model}", *told, f"pairs={a.pairs}", f"prompt={a.prompt}", f"completion={a.completion}",
     f"threads={a.threads}", f"products={a.products}", "ask=1"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
of_trl, of_ours = [], []


class InTurns(TrainerCallback):
    def on_step_begin(self, *_, **__):
        self.begin = time.perf_counter()

    def on_step_end(self, *_, **__):
        of_trl.append(time.perf_counter() - self.begin)
        time.sleep(0.2)
        ours.stdin.write("step\n")
        ours.stdin.flush()
        of_ours.append(json.loads(ours.stdout.readline()))


peft = None
if mode == "lora":
    from peft import LoraConfig
    peft = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
with tempfile.TemporaryDirectory() as out:
    how = DPOConfig(output_dir=out, per_device_train_batch_size=a.pairs, max_steps=a.steps,
                    learning_rate=1e-6 if mode == "full" else 1e-5, use_cpu=True, bf16=False, fp16=False,
                    gradient_checkpointing=False, report_to="none", save_strategy="no", logging_steps=1000, disable_tqdm=True,
                    precompute_ref_log_probs=not asks_reference, dataloader_pin_memory=False, seed=0)
    trainer = DPOTrainer(model=model, ref_model=copy.deepcopy(model) if asks_reference else None, args=how,
                         train_dataset=Dataset.from_list(rows), processing_class=tokenizer, peft_config=peft, callbacks=[InTurns()])
    lengths = [(len(r["prompt_ids"]), len(r["chosen_ids"]), len(r["rejected_ids"])) for r in trainer.train_dataset]
    quiet()
    reset_peak()
    with Foreign() as foreign:
        trainer.train()
    theirs_mb = peak_mb()
ours.stdin.close()
bare = json.loads(ours.stdout.readline())
ours.wait()

tokens = sum(2 * p + c + r for p, c, r in lengths) / a.steps
their_s = statistics.median(of_trl[a.warm:])
our_s = statistics.median(each["seconds"] for each in of_ours[a.warm:])
our_tokens = a.pairs * 2 * (a.prompt + a.completion)
emit(bench="step", setting=a.one, pairs=a.pairs, prompt=a.prompt, completion=a.completion, threads=a.threads,
     trl_s=their_s, trl_tokens_s=tokens / their_s, trl_peak_mb=theirs_mb, ours_s=our_s, ours_tokens_s=our_tokens / our_s,
     ours_peak_mb=of_ours[-1]["peak_mb"], times_trl=(our_tokens / our_s) / (tokens / their_s),
     of_fma_peak=statistics.median(each["of_peak"] for each in of_ours[a.warm:]), bare_products_s=bare["bare_s"],
     of_bare_products=bare["bare_s"] / our_s, bare_of_fma_peak=bare["bare_of_peak"],
     products=of_ours[-1]["products"], trl_all=[round(x, 3) for x in of_trl], ours_all=[each["seconds"] for each in of_ours],
     foreign_cpus=foreign.cpus)
