#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes ranking.json: what ranx says of rankings. Versions are in README.md; the same seed gives the same bytes.

Scores differ, because how ranx breaks ties is its own affair. What is hidden is neither ranked nor relevant: ranx gets a
run and relevance judgements without it, which is what our functions must come to by themselves.
"""
import json
import random

from ranx import Qrels, Run, evaluate

METRICS = {"ndcg": "ndcg", "hit_rate": "hit_rate", "recall": "recall", "precision": "precision", "reciprocal_rank": "mrr"}


def make_case(numbers, items, liked, hidden, cut):
    scores = [round(numbers.uniform(-5, 5), 6) for _ in range(items)]
    assert len(set(scores)) == items
    every = list(range(items))
    liked = sorted(numbers.sample(every, liked))
    hidden = sorted(numbers.sample(every, hidden))
    relevant = [i for i in liked if i not in hidden]
    if not relevant:
        return None
    run = {"p": {str(i): scores[i] for i in every if i not in hidden}}
    judged = {"p": {str(i): 1 for i in relevant}}
    case = {"cut": cut, "scores": scores, "hidden": hidden, "liked": liked}
    for ours, theirs in METRICS.items():
        case[ours] = float(evaluate(Qrels(judged), Run(run), f"{theirs}@{cut}"))
    return case


def main():
    numbers = random.Random(20)
    cases = []
    while len(cases) < 48:
        items = numbers.choice([3, 8, 14, 40])
        cut = numbers.choice([1, 3, 10])
        liked = numbers.randint(1, min(items, 15))
        hidden = numbers.choice([0, items // 4, items // 2])
        case = make_case(numbers, items, liked, hidden, cut)
        if case is not None:
            cases.append(case)
    with open("ranking.json", "w") as file:
        file.write('{"about": "rankings of random scores, judged by ranx", "ranx": "0.3.21", "cases": [\n')
        file.write(",\n".join(json.dumps(case) for case in cases))
        file.write("\n]}\n")


main()
