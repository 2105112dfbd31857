"""Scores of a reward model on each of the tiny models: a scalar head on the last token, as transformers and TRL have it.

    python make_reward_golden.py DIR

Needs torch, transformers, peft, safetensors, tokenizers. Reads what make_tiny_lm_golden.py has put into the folders of DIR, and writes beside it
reward.json: a head's weight, the scores of the rows' completions with the adapter on, the loss of TRL's RewardTrainer over the rows (Bradley-Terry
with center_rewards_coefficient) and its gradients. The values come from the float64 forward pass of the other script; the scores must agree with
...ForSequenceClassification of transformers under PEFT to 1e-4. llama_tied gets reward_adapter/ too, as PEFT saves such a model.
"""
import json, os, shutil, sys
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForSequenceClassification
from make_tiny_lm_golden import Exact, agree, gradients

CENTER = 0.01


def score(model, weight, prompt, completion):
    return model.hidden(prompt + completion)[-1] @ weight


def main(out):
    for name in sorted(os.listdir(out)):
        folder = os.path.join(out, name)
        if not os.path.exists(os.path.join(folder, "golden.json")):
            continue
        config = AutoConfig.from_pretrained(folder, attn_implementation="eager")
        base = {k: v.double() for k, v in load_file(os.path.join(folder, "model.safetensors")).items()}
        prefix = "base_model.model."
        adapter = {k[len(prefix):]: v.double().requires_grad_() for k, v in load_file(os.path.join(folder, "adapter", "adapter_model.safetensors")).items()}
        modules = {n[:-len(".lora_A.weight")] for n in adapter if n.endswith(".lora_A.weight")}
        tuned = Exact(config, base, {m: (adapter[m + ".lora_A.weight"], adapter[m + ".lora_B.weight"], 6 / 4) for m in modules})
        generator = torch.Generator().manual_seed(12)
        weight = (torch.randn(config.hidden_size, generator=generator) * 0.2).round(decimals=3).double().requires_grad_()
        rows = json.load(open(os.path.join(folder, "golden.json"), encoding="utf-8"))["rows"]
        scores = [{k: score(tuned, weight, row["prompt"], row[k]) for k in ("chosen", "rejected")} for row in rows]
        loss = sum(-torch.nn.functional.logsigmoid(s["chosen"] - s["rejected"]) + CENTER * (s["chosen"] + s["rejected"]) ** 2 for s in scores) / len(scores)
        loss.backward()

        config.num_labels, config.pad_token_id = 1, 0
        plain = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
        plain.load_state_dict({k: v.float() for k, v in base.items() if k != "lm_head.weight"}, strict=False)  # without the head
        theirs = get_peft_model(plain, LoraConfig(r=4, lora_alpha=6, lora_dropout=0.0, task_type="SEQ_CLS",
                                                  target_modules=sorted({m.rsplit(".", 1)[1] for m in modules}))).eval()
        with torch.no_grad():
            for n, p in theirs.named_parameters():
                n = n.replace(prefix, "").replace(".default", "")
                if n in adapter:
                    p.copy_(adapter[n].float())
                elif n == "score.modules_to_save.weight":
                    p.copy_(weight.float()[None])
            for row, s in zip(rows, scores):
                for k in ("chosen", "rejected"):
                    ids = torch.tensor([row["prompt"] + row[k]])
                    agree([s[k].item()], [theirs(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.item()], (name, k))
        with open(os.path.join(folder, "reward.json"), "w", encoding="utf-8") as f:
            json.dump({"unit": "nats", "weight": weight.tolist(), "center_rewards_coefficient": CENTER,
                       "scores": [{k: v.item() for k, v in s.items()} for s in scores], "loss": loss.item(),
                       "gradients": gradients({**adapter, "score.weight": weight})}, f)
        print(name, "loss", loss.item())
        if name == "llama_tied":
            to = os.path.join(folder, "reward_adapter")
            shutil.rmtree(to, ignore_errors=True)
            theirs.save_pretrained(to)
            if os.path.exists(os.path.join(to, "README.md")):
                os.remove(os.path.join(to, "README.md"))


main(sys.argv[1])
