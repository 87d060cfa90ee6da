"""A run folder as a long training leaves it: 200 steps, 6 evaluations, tasks, drift, transfer map; its control arm.

Everything is made from a few formulas, so that the same call gives the same folder. No text of any benchmark.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from oneshot.measure import gains
from oneshot.measure.scores import summary as scored
from oneshot.record import RunFolder
from oneshot.types import Completion, EvalRow, Group, Problem, Verdict
from tests.unit.report.runs import solved

KINDS = ("algebra", "counting", "geometry", "intermediate_algebra", "number_theory", "prealgebra", "precalculus")
OWN = "algebra"
READINGS = 5
"""After the base model."""
EXAMPLE = Problem(
    id="pool-124",
    prompt="The load $L$ that a beam carries varies jointly as its width $w$ and the square of its depth $d$, and "
    "$L = 180$ for $w = 2$ and $d = 3$. What is $d$ for $w = 4$ and $L = 2.56 \\cdot 10^{3}$?",
    answer="8",
    category=OWN,
)
WORDS = "First we write the law as $L = k w d^2$. Substituting gives $180 = 18k$, so $k = 10$. Then $d^2 = 64$. "
CONFIG: dict[str, Any] = {
    "model": {"name": "tiny-math-base", "dtype": "auto"},
    "data": {"source": "pool.jsonl", "task_seed": 0, "suffix": "Think step by step.", "corrupt": 0.0},
    "reward": {"name": "math", "control": ""},
    "rollout": {"groups": 8, "group_size": 8, "temperature": 0.6, "max_new_tokens": 512},
    "optim": {"steps": 200, "lr": 1e-06},
    "evals": {"source": "heldout.jsonl", "every": 40, "suffix": "", "tasks": "sums"},
    "save": {"runs": "runs"},
    "seed": 0,
}


def share(step: int, control: bool, low: float, high: float) -> float:
    """A rise that a normal run makes early and slowly after; the control arm makes a small part of it."""
    reach = 1 - math.exp(-step / 30) + 0.1 * step / 200
    return low + (0.18 if control else 1.0) * (high - low) * reach / 1.1


def response(step: int, sample: int, right: bool) -> str:
    """A response of a few sentences; every eighth rechecks itself late in training."""
    again = "Let me recheck this: 10 · 4 · 64 is indeed 2560. " if sample % 8 == 0 and step > 60 else ""
    return f"{WORDS * (1 + sample % 3)}{again}So the answer is \\boxed{{{8 if right else 64}}}."


def step_groups(step: int, count: int, accuracy: float) -> list[Group]:
    made = []
    for group in range(count):
        done = []
        for i in range(8):
            right = solved(8 * group + i, accuracy, step)
            verdict = Verdict(correct=right, extracted="8" if right else "64", method="number")
            length = 40 + (7 * i + step) % 60
            done.append(
                Completion(
                    tokens=tuple(range(length)), logprobs=(-0.25,) * length, text=response(step, i, right),
                    finished=(i + step) % 19 > 0,
                ).scored(verdict)
            )  # fmt: skip
        made.append(
            Group(
                id=group, problem=EXAMPLE, prompt_tokens=tuple(range(30)), completions=tuple(done), policy_version=step
            )
        )
    return made


def step_metrics(step: int, groups: list[Group], control: bool) -> dict[str, float]:
    done = [c for group in groups for c in group.completions]
    right = sum(c.verdict is not None and c.verdict.correct for c in done) / len(done)
    wave = math.sin(step / 5) / 40
    mixed = sum(len({c.reward for c in group.completions}) > 1 for group in groups) / len(groups)
    return {
        "reward": right, "train/accuracy": right, "frac_reward_zero_std": 1 - mixed, "signal": mixed,
        "entropy": 0.35 * math.exp(-step / 60) + 0.09 + wave / 2, "kl": 0.00002 * step * (1 + wave),
        "completions/mean_length": 560 - 80 * (1 - math.exp(-step / 25)) + 400 * wave + step / 4,
        "completions/clipped_ratio": 0.18 * math.exp(-step / 12) + 0.01, "found": 1 - 0.3 * math.exp(-step / 15),
        "grad_norm": 0.6 / (1 + step / 20) + 0.05 + abs(wave), "mismatch/logprob": 2.1e-6 + 1e-7 * wave,
        "num_tokens": float(sum(len(c.tokens) for c in done)), "grader/timeout": 1 / 64 if step == 17 else 0.0,
        "step_time": 38.0, "time/rollout": 17.2, "time/score": 0.9, "time/update": 19.9, "dropped": 0.0,
    }  # fmt: skip


def row(kind: str, index: int, sample: int, right: bool, salt: int) -> EvalRow:
    given = str(index + 3) if right else str(index + 4) if (index + salt) % 5 else None
    boxed = right and (index + salt) % 4 > 0
    stated = f"$\\boxed{{{given}}}$" if boxed else given
    text = f"{WORDS}The value asked for is {stated}."
    return EvalRow(
        id=f"{kind}-{index}", category=kind, sample=sample, answer=str(index + 3), extracted=given, correct=right,
        prompt=f"Problem {index} of {kind}: for which $x$ is $x - {index} = 3$?", response=text,
        status="ok" if given else "no_answer", cut=given is None and index % 2 == 0, tokens=120 + (37 * index) % 240,
        meta={"boxed": boxed, "lenient": right, "repeated": index % 23 == 0},
    )  # fmt: skip


def write_eval(run: RunFolder, task: str, step: int, control: bool, *, each: int, samples: int = 1) -> None:
    """One evaluation of `each` problems a category; what was right before mostly stays right."""
    rows = []
    for place, kind in enumerate(KINDS if task != "sums" else ("sums",)):
        gain = 0.33 - 0.05 * place if task != "sums" else 0.02
        accuracy = share(step, control, 0.36 - 0.02 * place, 0.36 + gain)
        for index in range(each):
            luck = ((index * 7919 + place * 31) % 1000 + 60 * math.sin(index + step)) / 1000
            rows += [row(kind, index, s, luck + 0.2 * math.sin(7 * s + index) * (samples > 1) < accuracy, step)
                     for s in range(samples)]  # fmt: skip
    protocol = {"dtype": "float32", "grader": "math", "grader_version": "e52e7ba9112a", "temperature": 0.0,
                "max_new_tokens": 3072, "suffix": "", "weights": f"ae392fa8f766{step:04d}",
                "data": {"digest": "d5e6fb3c964e28d401f9ac706d0a2252"}}  # fmt: skip
    name = f"checkpoint-{step}" if step else "base"
    run.write_eval(task, name, scored(rows) | {"protocol": protocol}, rows)


def make_large(root: Path, *, control: str = "", steps: int = 200, groups: int = 8) -> RunFolder:
    """A finished run of `steps` steps with 6 evaluations; `control` names the arm that it is."""
    config = {**CONFIG, "reward": {"name": "math", "control": control}}
    argv = ["oneshot", "train", "--data", "pool.jsonl", "--steps", str(steps)]
    run = RunFolder.create(
        root, f"beam-{control or 'pi1'}", config, [*argv, *(["--control", control] if control else [])]
    )
    run.start_attempt()
    run.event("model", name="tiny-math-base", sha256="e02c73d2f402426cefdb41c6a8874acfb669b63d859f4ce26d9a5579dd193998")
    run.write_example([EXAMPLE], {"base_rate": 0.0938, "base_rate_samples": 64})
    candidates = [{"id": f"pool-{i}", "problem": f"Candidate {i}", "answer": str(i), "samples": 16,
                   "mean_accuracy": round(16 * abs(math.sin(i * i))) / 16, "ci_low": 0.0, "ci_high": 1.0}
                  for i in range(300)]  # fmt: skip
    candidates[124] |= {"mean_accuracy": 0.125, "ci_low": 0.035, "ci_high": 0.36}
    run.write_selection(candidates)
    for step in range(steps):
        made = step_groups(step, groups, share(step, bool(control), 0.1, 1.4))
        run.step(step, step_metrics(step, made, bool(control)), made)
        if step == 61:
            run.event(
                "health", step=step, finding="entropy fell by half in 20 steps; at this rate it is 0.05 at step 96"
            )
    for step in range(0, steps + 1, steps // READINGS):
        write_eval(run, "heldout", step, bool(control), each=40)
        if step:
            run.event("save", step=step, checkpoint=f"checkpoint-{step}")
        drift = {"checkpoint": f"checkpoint-{step}" if step else "base", "step": step, "kl": 0.00045 * step,
                 "kl_se": 1e-4, "tokens": 4096, "prompts": 32, "weight_norm": 241.7,
                 "weight_distance": 0.02 * math.sqrt(step)}  # fmt: skip
        with open(run.path / "drift.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(drift) + "\n")
    for step in (0, steps):
        write_eval(run, "sums", step, bool(control), each=60, samples=8)
    run.write_json("transfer_map.json", {
        "samples": 16, "example": {"id": EXAMPLE.id, "norm": 0.31},
        "categories": {kind: {"cosine": 0.42 - 0.07 * i + 0.05 * math.sin(5 * i), "n": 20, "signal": 0.4, "norm": 0.2}
                       for i, kind in enumerate(KINDS)},
    })  # fmt: skip
    base, trained = (run.read_eval("heldout", name)[1] for name in ("base", f"checkpoint-{steps}"))
    found = gains.paired(base, trained)
    run.write_json("summary.json", {
        "schema": "oneshot.summary/1", "model": "tiny-math-base", "paired": found.as_dict(),
        "overall": gains.overall(base, trained).as_dict(),
        "times": {"model": 61.2, "training": 7600.4, "evaluation": 811.9}, "peak_memory_gib": 41.2,
        "seeds": {"run": 0, "task": 0},
    })  # fmt: skip
    run.write_status(state="done", step=steps, steps=steps)
    return run
