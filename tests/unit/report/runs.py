"""A small run folder as the demo would leave it, in a benign and in a hostile version."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from oneshot.measure import gains
from oneshot.record import RunFolder
from oneshot.types import Completion, EvalRow, Group, Problem, Verdict

KINDS = ("add_bare", "add_word", "div_word", "mul_bare", "mul_word", "sub_bare", "sub_word", "two_step")
OWN = "mul_word"
HOSTILE = (
    "<script>document.documentElement.setAttribute('data-pwned','1')</script></script></style></pre>"
    "<img src=x onerror=\"document.documentElement.setAttribute('data-pwned','2')\">"
    "\" onload=\"document.documentElement.setAttribute('data-pwned','3')\" x=\""
    "$\\text{<img src=x onerror=\"document.documentElement.setAttribute('data-pwned','4')\">}$ "
    "$\\href{javascript:document.documentElement.setAttribute('data-pwned','5')}{x^2}$ "
    "<iframe src=https://evil.example/></iframe>&lt;b&gt; {{ 7 * 7 }} {% raw %} "
    "\x1b[31mred\x1b]0;title\x07 \u202eesrever\u2066 \u200b\ud800 \x9b \r"
)
CONFIG: dict[str, Any] = {
    "model": {"name": "smollm2-135m", "dtype": "auto"},
    "data": {"source": "builtin", "task_seed": 0, "suffix": ""},
    "rollout": {"groups": 4, "group_size": 8, "temperature": 1.0, "max_new_tokens": 64},
    "optim": {"steps": 12, "lr": 5e-06},
    "seed": 0,
}


def solved(index: int, share: float, salt: int) -> bool:
    """Deterministic, about `share` of all indices."""
    return (index * 7919 + salt * 104729) % 1000 < 1000 * share


def row(kind: str, index: int, right: bool, *, text: str, rungs: list[str], cut: bool) -> EvalRow:
    a, b = 3 + index % 9, 2 + index % 7
    answer = str(a * b)
    given = None if cut else answer if right else str(a + b)
    return EvalRow(
        id=f"{kind}-{index}",
        category=kind,
        prompt=f"There are {a} shells in one pack. How many shells are there in {b} packs? Shop {kind}-{index}. {text}",
        answer=answer,
        response=f"To find the number of shells we take {a} and {b}. {text}\nThe answer is {given}.",
        extracted=given,
        correct=right and not cut,
        status="no_answer" if cut else "ok",
        cut=cut,
        tokens=128 if cut else 40 + index % 30,
        meta={
            "kind": kind,
            "rungs": rungs,
            "operation": "axb",
            "answer_class": "none" if cut else "right" if right else "a+b",
            "boxed": False,
            "correct_short": right and not cut and index % 5 > 0,
        },
    )


def evaluation(share_own: float, share_other: float, salt: int, text: str, own: int, other: int) -> list[EvalRow]:
    """`own` problems of the example's kind on three rungs, `other` of each other kind."""
    rows = []
    for kind in KINDS:
        for i in range(own if kind == OWN else other):
            right = solved(i, share_own if kind == OWN else share_other, salt + KINDS.index(kind))
            rungs = ["own_kind", "new_wording" if i % 2 else "same_wording"] if kind == OWN else ["other_kinds"]
            cut = not right and (i + salt) % (4 if salt == 1 else 9) == 0
            rows.append(row(kind, i, right, text=text, rungs=rungs, cut=cut))
    if text:  # a category can be named by whoever wrote the file
        named = [row(OWN, 950 + i, i > 0, text=text, rungs=["other_kinds"], cut=False) for i in range(3)]
        rows += [replace(each, category=text, extracted=text) for each in named]
    rows += [row(OWN, 900 + i, i > 4, text=text, rungs=["paraphrase"], cut=False) for i in range(14)]
    return rows


def groups(step: int, text: str) -> list[Group]:
    """One step's responses to the example."""
    problem = Problem(id="example", prompt=f"How many? {text}", answer="42", category=OWN)
    made = []
    for i in range(8):
        right = solved(i, min(1.0, 0.1 + step / 12), step)
        verdict = Verdict(correct=right, extracted=f"42{text}" if right else None, method="number", message=text)
        words = f"Each pack has 6. {text} So the answer is {42 if right else 13}."
        done = Completion(tokens=(1, 2, 3), logprobs=(-0.5, -0.1, -0.2), text=words, finished=i % 5 > 0)
        made.append(done.scored(verdict))
    return [Group(id=0, problem=problem, prompt_tokens=(5, 6), completions=tuple(made), policy_version=step)]


def metrics(step: int) -> dict[str, float]:
    """Every key of metrics.jsonl that the page draws; KL is not finite once."""
    accuracy = round(32 / (1 + math.exp(2.2 - step * 0.55))) / 32
    return {
        "reward": accuracy, "frac_reward_zero_std": 0.25 if step < 8 else 0.75, "signal": 0.75 if step < 8 else 0.25,
        "entropy": 0.62 - 0.03 * step, "kl": math.nan if step == 3 else 0.002 * step, "train/accuracy": accuracy,
        "completions/mean_length": 47 - 1.3 * step, "completions/clipped_ratio": max(0.0, 0.4 - 0.04 * step),
        "found": min(1.0, 0.7 + 0.03 * step), "grad_norm": 1.1 / (1 + 0.2 * step), "mismatch/logprob": 2.1e-6,
        "step_time": 30.1, "time/rollout": 15.2, "time/score": 3.1, "time/update": 11.8,
    }  # fmt: skip


def summary(run: RunFolder, text: str) -> dict[str, Any]:
    """What the demo's stage writes."""
    base, trained = run.read_eval("builtin-test", "base")[1], run.read_eval("builtin-test", "checkpoint-12")[1]
    own = [[r for r in rows if "own_kind" in r.meta["rungs"]] for rows in (base, trained)]
    rungs = gains.by_rung(("paraphrase", "same_wording", "new_wording", "own_kind", "other_kinds"))
    return {
        "schema": "oneshot.summary/1",
        "headline": "In this run the model learned this kind of problem (mul_word): 21.7% to 56.7% on 120 held-out "
        "problems, paired difference +35.0 points, 95 % interval +22.9 to +46.0. Over all kinds with equal weight "
        f"it is not reliably changed: -5.2 points (-17.2 to +6.7). {text}",
        "model": "SmolLM2-135M-Instruct",
        "example": {
            "prompt": f"There are 6 shells in one pack. How many shells are there in $7$ packs? {text}",
            "answer": "42",
            "kind": OWN,
            "base_rate": {"value": 0.1875, "ci_low": 0.089, "ci_high": 0.353, "n": 32},
        },
        "paired": gains.paired(*own).as_dict(),
        "overall": gains.overall(base, trained).as_dict(),
        "ladder": {k: v.as_dict() for k, v in gains.ladder(base, trained, rungs).items()},
        "categories": {k: v.as_dict() for k, v in gains.by_category(base, trained).items()},
        "operations": gains.operation_table(base, trained, OWN),
        "decomposition": gains.decomposition(*own).as_dict(),
        "operation_decomposition": gains.operation_decomposition(*own).as_dict(),
        "transitions": gains.transitions(*own),
        "boxed": {"base": 0.0, "trained": 0.0},
        "training_limit": gains.paired(*own, right=gains.at_training_limit).as_dict(),
        "found": {"base": 0.82, "trained": 0.96},
        "cut": {"base": 0.18, "trained": 0.04},
        "times": {"model": 61.2, "probe": 122.5, "training": 361.0, "dev": 80.4, "test": 211.9, "total": 837.0},
        "peak_memory_gib": 3.42,
        "seeds": {"run": 0, "task": 0},
        "limits": ["A model of 135 M parameters: nothing here speaks about reasoning or about larger models."],
    }


def make_run(
    root: Path,
    *,
    text: str = "",
    with_summary: bool = True,
    steps: int = 12,
    control: str = "",
    own: int = 120,
    other: int = 15,
) -> RunFolder:
    """A finished run. `text` is put wherever a model or a file could put it; `own`, `other`: test problems a kind."""
    config = CONFIG | ({"reward": {"control": control}} if control else {})
    run = RunFolder.create(root, OWN, config, ["/x/bin/oneshot", "demo", "--seed", "0", *([text] if text else [])])
    run.start_attempt()
    example = Problem(id="example", prompt=f"There are 6 shells. {text}", answer="42", category=OWN)
    run.write_example([example], {"base_rate": {"value": 0.1875, "ci_low": 0.089, "ci_high": 0.353, "n": 32}})
    for step in range(steps):
        run.step(step, metrics(step), groups(step, text))
    run.event("saved", checkpoint=f"checkpoint-{steps}", note=text)
    run.event("health", step=0, finding=text or "nothing")
    for name, mine, rest, salt in (
        ("base", 0.2, 0.3, 1),
        ("checkpoint-4", 0.4, 0.33, 2),
        ("checkpoint-12", 0.6, 0.26, 3),
    ):
        run.write_eval("builtin-dev", name, {}, evaluation(mine, rest, salt, text, 16, 4))
    run.write_eval("builtin-test", "base", {}, evaluation(0.2, 0.3, 1, text, own, other))
    run.write_eval("builtin-test", "checkpoint-12", {}, evaluation(0.57, 0.22, 3, text, own, other))
    if with_summary:
        run.write_json("summary.json", summary(run, text))
    run.write_status(state="done", step=steps, steps=steps)
    return run


def eval_row(key: str, right: bool, category: str) -> EvalRow:
    return EvalRow(
        id=key, category=category, prompt=f"{key}?", answer="1", response="r", extracted="1", correct=right,
        status="ok", cut=False, tokens=1,
    )  # fmt: skip
