"""Evaluation against a left-padded `generate` loop, on the embedded model: tokens a second, and the same answers.

    python benchmarks/evaluation.py [--repeats 3] [--limit 128] [--batches 8 16 32 64] [--json] [--store] [--smoke]

256 prompts, greedy, float32, every response ending by itself or at the limit. Mixed means: 32 problems of each of the
built-in task's eight kinds, each behind 0 to 16 solved examples of its kind (`SHOTS`), in an order drawn once, so that
prompts differ many times in length and responses end at different places. The lengths of both are printed.

- ours: the sampler of `oneshot eval`, in the batches that `oneshot eval` keeps. It runs what prompts begin with
  in common (here up to 16 solved examples of a kind) once; with `--apart` each prompt has its own.
- generate: transformers' `generate` with KV cache and SDPA over batches padded on the left; a batch ends when its last
  response does. The prompts are sorted by length, which pads least. Every batch size is tried, one pass each after a
  short warm-up, given up once it has taken longer than the fastest; the fastest is the one compared.

The sides take turns; tokens of responses a second (up to and with the end token), the ratio of each turn, medians.
Goal: 2. Then the answers are compared: where two of them differ, a forward pass of the prompt and what they share gives
the logits of that place. A gap of the two best below 1e-3 is a near tie, which rounding may decide (their share is
printed; goal: at most 2 %); any other difference is a failure, exit 1.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sides import Answers, Side, median, options, seconds, tell, turns

COUNT, GOAL, NEAR, MOST_NEAR = 256, 2.0, 1e-3, 0.02
SHOTS = (0, 0, 1, 0, 2, 4, 8, 16)
"""Solved examples before a problem, in turn: three of eight prompts have none, one has 16."""
SEED, KEYS = 0, ("seconds", "tokens", "rate")


def requests(policy: Any, count: int, shots: Sequence[int], *, apart: bool = False) -> list[tuple[int, ...]]:
    """`count` different prompts, mixed in kind and length; `apart`: each with solved examples of its own."""
    from oneshot.data.prompts import render
    from oneshot.data.tasks import builtin
    from oneshot.data.tasks.wordings import SHARED

    each, wordings = -(-count // len(builtin.KINDS)), tuple(range(SHARED))
    prompts, draw = [], random.Random(SEED)
    for kind in builtin.KINDS:
        asked = builtin.problems("dev", kind, each, task_seed=SEED, wordings=wordings)
        solved = builtin.problems(
            "train", kind, (max(shots) or 1) * (8 if apart else 1), task_seed=SEED, wordings=wordings
        )
        for i, problem in enumerate(asked):
            shown = draw.sample(solved, max(shots)) if apart else solved
            before = "".join(f"{example.prompt}\n{example.answer}\n\n" for example in shown[: shots[i % len(shots)]])
            longer = replace(problem, prompt=before + problem.prompt)
            prompts.append(render(policy.tokenizer, longer, suffix="Answer with one number."))
    if len(prompts := list(dict.fromkeys(prompts))) < count:
        raise SystemExit(f"the built-in task has {len(prompts)} different prompts; {count} are needed")
    random.Random(SEED).shuffle(prompts)
    return prompts[:count]


def ours(policy: Any, prompts: Sequence[Sequence[int]], limit: int) -> list[list[int]]:
    """Greedy responses as `oneshot eval` samples them."""
    from oneshot.rollout.native import NativeEngine
    from oneshot.stages.evals.work import batch_of
    from oneshot.types import Sampling

    engine, sampling, found = NativeEngine(policy), Sampling(temperature=0.0, max_new_tokens=limit), []
    size = batch_of(SimpleNamespace(eval_engine=engine), limit)  # type: ignore[arg-type]
    for start in range(0, len(prompts), size):
        part = prompts[start : start + size]
        made = engine.generate(part, sampling, [(0, start + i) for i in range(len(part))])
        found += [list(completion.tokens) for completion in made]
    return found


def loop(
    policy: Any, prompts: Sequence[Sequence[int]], limit: int, batch: int, most: float = math.inf
) -> list[list[int]]:
    """Greedy responses by `generate`, batch after batch, shortest prompts first; none if it takes `most` seconds."""
    import torch

    places = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[list[int]] = [[] for _ in prompts]
    begun = time.perf_counter()
    for start in range(0, len(places), batch):
        if time.perf_counter() - begun > most:
            return []
        part = places[start : start + batch]
        width = max(len(prompts[i]) for i in part)
        out = policy.model.generate(
            torch.tensor([[0] * (width - len(prompts[i])) + list(prompts[i]) for i in part]),
            attention_mask=torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in part]),
            max_new_tokens=limit,
            do_sample=False,
            eos_token_id=sorted(policy.eos_ids),
            pad_token_id=0,
        )
        for i, row in zip(part, out[:, width:].tolist(), strict=True):
            end = next((n + 1 for n, token in enumerate(row) if token in policy.eos_ids), len(row))
            found[i] = row[:end]
    return found


def gap(policy: Any, sequence: Sequence[int]) -> float:
    """The distance between the two best logits after a sequence, from a forward pass of its own."""
    import torch

    with torch.inference_mode():
        best = policy.model(torch.tensor([list(sequence)])).logits[0, -1].float().topk(2).values
    return float(best[0] - best[1])


def worker(side: str, model: str, count: int, shots: Sequence[int], threads: int, apart: bool) -> None:
    """Answer with seconds and responses of one pass, or with the gaps after prompts and what follows them."""
    from oneshot.config.environment import home
    from oneshot.model import policy as policies

    answers, used = Answers(), policies.set_threads(threads)
    policy = policies.load(model, home=home(), offline=True, dtype="float32")
    prompts = requests(policy, count, shots, apart=apart)

    def answer(what: str, *, limit: int = 0, first: int = 0, after: Any = (), **how: Any) -> dict[str, Any]:
        if what == "lengths":
            return {"lengths": [len(prompt) for prompt in prompts], "threads": used}
        if what == "gaps":
            return {"gaps": [gap(policy, [*prompts[i], *shared]) for i, shared in after]}
        asked = prompts[: first or len(prompts)]
        found: list[list[int]] = []
        made, given = (loop, how) if side == "generate" else (ours, {})  # ours has neither batch size nor order
        spent = seconds(lambda: found.extend(made(policy, asked, limit, **given)))
        tokens = sum(map(len, found))
        return {"seconds": spent, "tokens": tokens, "rate": tokens / spent, "responses": found}

    answers.serve(answer)


def fastest(side: Side, batches: Sequence[int], limit: int, *, quiet: bool) -> dict[str, Any]:
    """The batch size with which `generate` is fastest; a pass that was given up took longer than the shortest."""
    side.ask(what="run", limit=min(limit, 4), batch=batches[0], first=batches[0])
    tried, shortest = [], math.inf
    for batch in batches:
        told = side.ask(what="run", limit=limit, batch=batch, most=min(shortest, 1e9))
        done = bool(told["responses"])
        shortest = min(shortest, told["seconds"])
        tried.append({"batch": batch, "rate": told["rate"] if done else 0.0, "done": done})
        rate = f"{told['rate']:7.1f} tokens/s" if done else f"given up after {told['seconds']:.0f} s"
        if not quiet:
            print(f"tried    {batch:3} rows {rate}", flush=True)
    return {"tried": tried, "best": max(tried, key=lambda row: float(row["rate"]))}


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Where two responses part; None where they are equal. The end of the shorter one is a place too."""
    if list(one) == list(other):
        return None
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def agreement(side: Side, one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> dict[str, Any]:
    """How many responses differ, and by how much the two best logits do where they part."""
    places = map(first_difference, one, other)
    parted = [(i, at) for i, at in enumerate(places) if at is not None]
    found = side.ask(what="gaps", after=[[i, list(one[i][:at])] for i, at in parted])["gaps"] if parted else []
    near = sum(gap < NEAR for gap in found)
    told = [{"prompt": i, "at": at, "gap": gap} for (i, at), gap in zip(parted, found, strict=True)]
    counts = {"responses": len(one), "near_ties": near, "share": near / len(one), "failures": len(found) - near}
    return {**counts, "parted": told}


def spread(values: Sequence[int]) -> list[int]:
    """Smallest, quartiles and largest."""
    return [sorted(values)[round(q * (len(values) - 1))] for q in (0, 0.25, 0.5, 0.75, 1)]


def measure(given: Any, common: dict[str, Any], repeats: int, limit: int) -> dict[str, Any]:
    """Choose the loop's settings, let both sides take turns, compare the answers."""
    with Side(__file__, side="ours", **common) as one, Side(__file__, side="generate", **common) as other:
        told = one.ask(what="lengths")
        if not given.json:
            print(f"prompts  {len(told['lengths'])}, tokens {spread(told['lengths'])}", flush=True)
        chosen = fastest(other, given.batches, limit, quiet=given.json)
        one.ask(what="run", limit=min(limit, 4), first=max(given.batches))  # generate is warm from the tries
        both, batch = {"ours": one, "generate": other}, chosen["best"]["batch"]
        answers = turns(both, repeats, warm=False, what="run", limit=limit, batch=batch)
        agreed = agreement(other, answers["ours"][0]["responses"], answers["generate"][0]["responses"])
    ratios = [a["rate"] / b["rate"] for a, b in zip(answers["ours"], answers["generate"], strict=True)]
    sides: dict[str, Any] = {
        name: {**{key: median(each, key) for key in KEYS}, "lengths": spread([*map(len, each[0]["responses"])])}
        for name, each in answers.items()
    }
    return {
        "prompts": len(told["lengths"]),
        "prompt_tokens": spread(told["lengths"]),
        "threads": told["threads"],
        "limit": limit,
        **chosen,
        **sides,
        "ratios": ratios,
        "ratio": statistics.median(ratios),
        "goal": GOAL,
        "agreement": agreed,
    }


def show(result: dict[str, Any]) -> None:
    """Print what `measure` found."""
    agreed = result["agreement"]
    for name in ("ours", "generate"):
        row = result[name]
        print(
            f"{name:9}{row['seconds']:7.2f} s  {row['tokens']:6.0f} tokens  {row['rate']:7.1f} tokens/s  "
            f"lengths {row['lengths']}"
        )
    print(f"ratio    {result['ratio']:.2f} (turns {', '.join(f'{r:.2f}' for r in result['ratios'])}; goal {GOAL:g})")
    near = f"{agreed['near_ties']} of {agreed['responses']} part at a near tie ({agreed['share']:.1%}"
    print(f"answers  {near}; goal at most {MOST_NEAR:.0%}), {agreed['failures']} elsewhere")


def main() -> None:
    """Measure and print; exit 1 where answers differ and no near tie explains it."""
    parser = options(__doc__, repeats=3)
    parser.add_argument("--limit", type=int, default=128, help="longest response")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32, 64], help="rows to try for generate")
    parser.add_argument("--apart", action="store_true", help="no two prompts begin alike")
    given = parser.parse_args()
    repeats, limit, count, shots, model = given.repeats, given.limit, COUNT, list(SHOTS), "smollm2-135m"
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            from tests.tiny import save_tiny

            repeats, limit, count, shots, given.batches = 1, 6, 24, [0, 0, 1], [4, 8]
            model = str(save_tiny(Path(folder)))
        common = {"model": model, "count": count, "shots": shots, "threads": given.threads, "apart": given.apart}
        result = measure(given, common, repeats, limit)
    if not given.json:
        show(result)
    tell("evaluation", {"smoke": given.smoke, "apart": given.apart, **result}, store=given.store)
    sys.exit(1 if result["agreement"]["failures"] else 0)


if __name__ == "__main__":
    worker(**json.loads(sys.argv[2])) if sys.argv[1:2] == ["--worker"] else main()
