"""Tune the demo's recipe on dev problems only; resumable, one line of results a setting.

    .venv/bin/python benchmarks/tune_demo.py            # runs what is not yet in benchmarks/results/tune_demo.jsonl

Task seeds are >= 100 here (the demo's own task seed is 0), and the test split is never made. A setting is kept when its
own-kind dev gain is >= .10 and its mean over all kinds is best.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oneshot.algos import zoo  # noqa: F401  (registers the algorithms)
from oneshot.algos.algorithm import ALGORITHMS, configured
from oneshot.config.environment import home
from oneshot.data.packing import pack
from oneshot.data.prompts import render
from oneshot.data.tasks import builtin
from oneshot.model import attention
from oneshot.model import policy as policies
from oneshot.rewards.functions import build_verifier
from oneshot.rollout.collect import collect
from oneshot.rollout.native import NativeEngine
from oneshot.stages.evals.evaluation import evaluate
from oneshot.stages.probing.probe import Prober, choose
from oneshot.stages.setup import annotate
from oneshot.train.learner import AdamWSettings, Learner
from oneshot.types import EvalRow, Problem, Sampling

RESULTS = Path(__file__).parent / "results" / "tune_demo.jsonl"
SUFFIX = "Answer with one number."
COMMON: dict[str, Any] = {"task_seed": 100, "seed": 0, "steps": 16, "kl": 0.0, "entropy": 0.003, "limit": 48}
SETTINGS: list[dict[str, Any]] = [
    {**COMMON, "kind": "mul_word", "lr": 1e-5, "temperature": 1.0},
    {**COMMON, "kind": "add_word", "lr": 1e-5, "temperature": 1.0},
    {**COMMON, "kind": "add_word", "lr": 5e-6, "temperature": 1.0, "entropy": 0.01},
    {**COMMON, "kind": "add_word", "lr": 1e-5, "temperature": 0.7},
    {**COMMON, "kind": "mul_word", "lr": 1e-5, "temperature": 1.0, "kl": 0.03},
]
AT = (8, 12, 16)
"""Dev is read after these steps."""


def dev_problems(task_seed: int, kind: str) -> list[Problem]:
    """What every setting is read on: 40 of the example's kind, 5 of each other."""
    return builtin.dev_set(task_seed, kind, own=40, other=5)


def by_kind(rows: Sequence[EvalRow]) -> dict[str, float]:
    """Accuracy of each kind."""
    kinds = sorted({r.category for r in rows})
    return {k: sum(r.correct for r in rows if r.category == k) / sum(r.category == k for r in rows) for k in kinds}


def run(setting: dict[str, Any], cache: dict[str, Any]) -> dict[str, Any]:
    """Train with one setting; `cache` holds the example and the base model's dev accuracy by kind and task seed."""
    began = time.time()
    policy = policies.load("smollm2-135m", home=home(), offline=False)
    engine = NativeEngine(policy)
    verify, strict = build_verifier("number"), build_verifier("math")
    algorithm = configured(ALGORITHMS.build("grpo"), {"kl": setting["kl"], "entropy": setting["entropy"]})
    sampling = Sampling(
        temperature=setting.get("temperature", 1.0), max_new_tokens=setting["limit"], seed=setting["seed"]
    )

    def prompt(problem: Problem) -> tuple[int, ...]:
        return render(policy.tokenizer, problem, suffix=SUFFIX)

    def dev() -> dict[str, float]:
        problems = dev_problems(setting["task_seed"], setting["kind"])
        return by_kind(
            evaluate(engine, policy, problems, prompt, verify, strict, max_new_tokens=128, short=64, annotate=annotate)
        )

    key = f"{setting['kind']} {setting['task_seed']} {sampling.temperature}"
    if key not in cache:
        pool = builtin.candidates(setting["task_seed"], setting["kind"], 24)
        probe = Prober(engine=engine, render=prompt, verify=verify, sampling=sampling)
        chosen, counted = choose(probe, pool)
        cache[key] = {"chosen": chosen, "base": dev(), "rates": sorted(round(p.rate, 3) for p in counted)}
    chosen, base = cache[key]["chosen"], cache[key]["base"]
    print(setting, chosen.problem.prompt, chosen.problem.answer, chosen.rate, cache[key]["rates"], flush=True)
    settings = AdamWSettings(lr=setting["lr"], warmup=3)
    attention.install(policy.model)
    learner = Learner(policy, algorithm, settings, temperature=sampling.temperature)
    curve, rates, devs = [], [], {}
    for step in range(setting["steps"]):
        groups = collect(engine, [chosen.problem] * 4, prompt, verify, sampling, step, group_size=8)
        batch = pack(groups, max_response=setting["limit"], micro_tokens=640)
        batch = learner.score(batch, algorithm.needs)
        metrics = learner.update(batch, algorithm.credit(batch))
        rates.append(float(batch.rewards_B.mean()))
        curve.append(round(metrics["entropy"], 3))
        if step + 1 in AT:
            devs[step + 1] = dev()
            print(f"  {time.time() - began:.0f}s step {step + 1} train {rates} dev {devs[step + 1]}", flush=True)
    gains = {
        s: {"own": d[setting["kind"]] - base[setting["kind"]], "mean": (sum(d.values()) - sum(base.values())) / 8}
        for s, d in devs.items()
    }
    return {
        "setting": setting,
        "example": {"prompt": chosen.problem.prompt, "answer": chosen.problem.answer, "base_rate": chosen.rate},
        "base": base,
        "base_mean": sum(base.values()) / 8,
        "dev": devs,
        "gains": gains,
        "train_accuracy": rates,
        "entropy": curve,
        "seconds": round(time.time() - began),
    }


def main() -> None:
    """Run what is missing."""
    policies.set_threads(0)
    done = [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    cache: dict[str, Any] = {}
    for setting in SETTINGS:
        if any(d["setting"] == setting for d in done):
            continue
        result = run(setting, cache)
        with RESULTS.open("a") as stream:
            stream.write(json.dumps(result) + "\n")
        print(json.dumps({"gains": result["gains"], "base": result["base_mean"]}), flush=True)


if __name__ == "__main__":
    main()
