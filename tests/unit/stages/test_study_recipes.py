"""The shipped studies: each is read, its settings resolve, and no two of its arms are the same training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneshot.config.schema import DataConfig
from oneshot.config.sources import find_study, shipped_recipes, shipped_studies
from oneshot.data.problems import load
from oneshot.stages.studies.arms import check_different, contents, plan_of
from oneshot.stages.studies.file import read_study

STUDIES = [name.removeprefix("paper/studies/") for name in shipped_studies()]
PAPER = [
    "entropy-only", "format-reward", "grokking-ablation", "label-noise", "loss-ablation", "number-of-examples",
    "ppo-vs-grpo", "prompt-simplification", "temperature",
]  # fmt: skip


def test_each_of_the_papers_has_a_twin_for_a_cpu() -> None:
    assert sorted(STUDIES) == sorted([*PAPER, *(f"{name}-cpu" for name in PAPER), "post-saturation-cpu"])
    assert not [name for name in shipped_recipes() if "studies" in name]


@pytest.mark.parametrize("name", STUDIES)
def test_a_shipped_study_is_one(name: str, tmp_path: Path) -> None:
    study = read_study(find_study(f"paper/studies/{name}"))
    assert study.name == name
    assert study.seeds == (0, 1, 2)
    assert not study.keep_weights
    plan = plan_of(study, tmp_path)
    check_different(plan)
    models = {config.model.name for config in plan.arms.values()}
    cpu = name.endswith("-cpu")
    assert models == {"smollm2-135m" if cpu else "Qwen/Qwen2.5-Math-1.5B"}
    assert not cpu or len(study.arms) <= 8
    for arm, config in plan.arms.items():
        assert config.evals.drift, arm
        assert config.evals.every, arm
        assert not config.save.best, arm
    assert any(arm.paper for arm in study.arms)


def test_the_labels_of_the_loss_ablation_stand_with_the_built_in_example(tmp_path: Path) -> None:
    """A control arm would pay the base's most frequent answer, which of pi1 is the one that is nearer the truth."""
    plan = plan_of(read_study(find_study("paper/studies/loss-ablation")), tmp_path)
    (pi1,) = load(DataConfig(source="pi1"), offline=True).problems
    assert {config.data.example for config in plan.arms.values()} == {pi1.prompt}
    answers = {arm: config.data.answer for arm, config in plan.arms.items()}
    assert (answers.pop("label-12.7"), answers.pop("label-4")) == ("12.7", "4")
    assert set(answers.values()) == {pi1.answer} == {"12.8"}
    assert "wrong" not in {config.reward.control for config in plan.arms.values()}


@pytest.mark.parametrize("name", [name for name in STUDIES if name.endswith("-cpu")])
def test_what_a_twin_reads_has_no_answer_of_an_example(name: str, tmp_path: Path) -> None:

    plan = plan_of(read_study(find_study(f"paper/studies/{name}")), tmp_path)
    made = contents(plan)
    rows = [json.loads(line) for line in made["problems.jsonl"].splitlines()]
    answers = {row["answer"] for row in plan.study.examples} | {c.data.answer for c in plan.arms.values()} - {""}
    assert answers
    assert not answers & {row["answer"] for row in rows}
    assert len({row["prompt"] for row in rows}) == len(rows)
    counts = {kind: [row["category"] for row in rows].count(kind) for kind in {row["category"] for row in rows}}
    assert set(counts.values()) == {plan.study.test_per_kind}
    assert len(counts) == 8
    assert len({row["category"] for row in rows[:8]}) == 8
