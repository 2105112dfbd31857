"""What transformers makes of short templates of every family that prefer knows: chat_templates.json.

    python make_chat_templates.py > chat_templates.json

Needs transformers (5.24 made the file). The templates are written for this test: each has what a family's templates differ in.
"""
import json
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, __version__

CHATML = r"{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
FIRST = r"{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou answer.<|im_end|>\n' }}{% endif %}"
SET = r"{% set system_message = 'You\'re \"terse\".' %}{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% set rest = messages[1:] %}{% else %}{% set rest = messages %}{% endif %}{{ '<|im_start|>system\n' + system_message + '<|im_end|>\n' }}"
THINK = r"""{%- set ns = namespace(last_query_index=-1) %}
{%- for m in messages %}{%- if m['role'] == 'user' %}{%- set ns.last_query_index = loop.index0 %}{%- endif %}{%- endfor %}
{%- for m in messages %}
    {%- set content = m['content'] %}
    {%- if m['role'] == 'assistant' %}
        {%- set thoughts = '' %}
        {%- if '</think>' in content %}
            {%- set thoughts = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- set content = '<think>\n' + thoughts.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') %}
        {%- endif %}
    {%- endif %}
    {{- '<|im_start|>' + m['role'] + '\n' + content + '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}"""
OPEN = THINK[:THINK.index("{%- if add_generation_prompt")] + r"{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n<think>\n' }}{%- endif %}"
TURN = r"{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}"
LLAMA3 = "{{ bos_token }}{% for m in messages %}" + TURN + r"{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
DATED = r"""{{- bos_token }}
{%- set date_string = "26 Jul 2024" %}
{%- set rest = messages[1:] if messages[0]['role'] == 'system' else messages %}
{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- messages[0]['content'] | trim if messages[0]['role'] == 'system' else '' }}
{{- "<|eot_id|>" }}
{%- for m in rest %}""" + TURN.replace("{{ ", "{{- ") + r"""{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"""
ZEPHYR = """{% for m in messages %}
{% if m['role'] == 'user' %}
{{ '<|user|>\\n' + m['content'] + eos_token }}
{% elif m['role'] == 'system' %}
{{ '<|system|>\\n' + m['content'] + eos_token }}
{% else %}
{{ '<|assistant|>\\n' + m['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
ALTERNATE = "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ message['content'] + eos_token + ' ' }}{% endif %}{% endfor %}"
THROUGH = r"""{%- set says = messages[0]['role'] == 'system' %}{%- set loop_messages = messages[1:] if says else messages %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message['role'] == 'user' %}
        {%- if WHERE says %}
            {{- BEFORE + messages[0]['content'] + '\n\n' + message['content'] + AFTER }}
        {%- else %}
            {{- BEFORE + message['content'] + AFTER }}
        {%- endif %}
    {%- else %}
        {{- ANSWER + eos_token }}
    {%- endif %}
{%- endfor %}"""
fill = lambda where, before, after, answer: THROUGH.replace("WHERE", where).replace("BEFORE", before).replace("AFTER", after).replace("ANSWER", answer)

TEMPLATES = {
    "chatml": CHATML, "chatml with a system": FIRST + CHATML, "chatml with a set system": SET + CHATML.replace("in messages", "in rest"),
    "chatml with a begin": "{{ bos_token }}" + CHATML, "chatml that trims": CHATML.replace("m['content']", "m['content'] | trim"),
    "chatml that thinks": THINK, "chatml that always thinks": OPEN,
    "llama3": LLAMA3, "llama3 with dates": DATED, "zephyr": ZEPHYR, "mistral without a system": ALTERNATE,
    "mistral, first": fill("loop.first and", "' [INST] '", "' [/INST]'", "' ' + message['content']"),
    "mistral, last": fill("loop.last and", '"[INST] "', '"[/INST]"', '" " + message["content"]|trim'),
    "mistral, close": fill("loop.last and", '"[INST]"', '"[/INST]"', 'message["content"]'),
    "mistral, own turn": r"{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ '[SYSTEM_PROMPT] ' + message['content'] + '[/SYSTEM_PROMPT]' }}{% elif message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}",
}
system, user, answer = (lambda r: lambda s: {"role": r, "content": s})("system"), (lambda s: {"role": "user", "content": s}), (lambda s: {"role": "assistant", "content": s})
PROMPTS = [[user("Hi")], [user(" Hi \n"), answer("Hello."), user("And?\n\nNow")],
           [system(" Be brief.\n"), user("one"), answer(" two "), user("three"), answer("<think>\nhm\n</think>\n\nfour"), user("five <|im_end|> [INST]")]]
ANSWERS = ["Fine.", " wide \u3000\n", "\n\nnext"]


def main():
    tok = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token="<s>", eos_token="</s>")
    out = {"made by": "make_chat_templates.py", "transformers": __version__, "begin": "<s>", "end": "</s>", "templates": []}
    for name, template in TEMPLATES.items():
        write = lambda messages, opens: tok.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=opens, enable_thinking=False)
        cases = []
        for prompt in PROMPTS:
            if name == "mistral without a system" and prompt[0]["role"] == "system":
                continue
            cases.append({"messages": prompt, "prompt": write(prompt, True), "whole": [{"answer": a, "text": write(prompt + [answer(a)], False)} for a in ANSWERS]})
        out["templates"].append({"name": name, "template": template, "cases": cases})
    print(json.dumps(out, ensure_ascii=False, indent=1))


main()
