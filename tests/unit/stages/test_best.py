"""Which checkpoint is best on dev, worked out from recorded evaluations; and best on test, never without correction."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.config.load import to_dict
from oneshot.config.schema import Config, EvalsConfig
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.stages.evals import best
from oneshot.stages.evals.evaluation import results
from oneshot.types import EvalRow


def row(problem: int, correct: bool, sample: int = 0) -> EvalRow:
    return EvalRow(
        id=f"p{problem}", category="sum", prompt=f"{problem}?", answer="1", response="1", extracted="1",
        correct=correct, status="ok", cut=False, tokens=1, sample=sample,
    )  # fmt: skip


def run_with(folder: Path, config: Config) -> RunFolder:
    return RunFolder.create(folder, "x", to_dict(config), [])


def read(run: RunFolder, step: int, right: str, task: str = "held") -> None:
    """Record an evaluation after `step` steps; `right` has a 1 for each problem that is right."""
    rows = [row(i, mark == "1") for i, mark in enumerate(right)]
    run.write_eval(task, f"checkpoint-{step}" if step else "base", results(rows), rows)


def keep(run: RunFolder, *steps: int) -> None:
    for step in steps:
        run.checkpoint_dir(step).mkdir(parents=True)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = run_with(tmp_path, Config(evals=EvalsConfig(source="data/held.jsonl", every=10)))
    read(made, 0, "1111")  # the base model is no checkpoint
    for step, right in ((10, "1000"), (20, "1100"), (30, "0011"), (100, "1000")):
        read(made, step, right)
    read(made, 30, "1111", task="math500")  # a test task chooses nothing
    return made


def test_what_the_dev_set_is_called() -> None:
    assert best.dev_task(Config(evals=EvalsConfig(source="a/held.out.jsonl"))) == "held.out"
    assert best.dev_task(Config(evals=EvalsConfig(source="builtin"))) == "builtin-dev"
    assert best.dev_task(Config()) == ""


def test_of_equal_ones_the_earlier_is_best(run: RunFolder) -> None:
    assert best.accuracies(run, "held") == {10: 0.25, 20: 0.5, 30: 0.5, 100: 0.25}
    assert best.best_step(run, "held") == 20


def test_what_comes_later_does_not_count(run: RunFolder) -> None:
    """A killed attempt that went further leaves evaluations; what is best at a step must not see them."""
    found = [best.best_step(run, "held", upto=step) for step in (0, 9, 10, 19, 20, 99, 100)]
    assert found == [None, None, 10, 10, 20, 20, 20]


def test_best_among_those_that_are_kept(run: RunFolder) -> None:
    keep(run, 10, 100)
    assert best.best_checkpoint(run) == 10
    assert best.not_kept(run) == (
        "checkpoint-20 was better on held (50.0%, checkpoint-10 25.0%), but was not kept (save.best = false)"
    )
    keep(run, 30)
    assert best.best_checkpoint(run) == 30
    assert best.not_kept(run) == "", "it is as good"
    keep(run, 20)
    assert best.best_checkpoint(run) == 20
    assert best.not_kept(run) == ""


def test_no_kept_checkpoint_was_read(run: RunFolder, tmp_path: Path) -> None:
    keep(run, 15)
    with pytest.raises(UsageError, match="none of its checkpoints was read on held") as caught:
        best.best_checkpoint(run)
    assert caught.value.code == "E104"
    assert best.not_kept(run) == ""
    without = run_with(tmp_path, Config())
    keep(without, 10)
    read(without, 10, "1", task="math500")
    with pytest.raises(UsageError, match="it has no dev set"):
        best.best_checkpoint(without)


def test_best_on_test_needs_three_checkpoints() -> None:
    once = [row(i, i < 2) for i in range(4)]
    assert best.best_on_test({}) is None
    assert best.best_on_test({10: once, 20: once}) is None
    assert best.best_on_test({10: once[:1], 20: once[:1], 30: once[:1]}) is None  # one problem has no halves


def test_checkpoints_that_are_all_alike_need_no_correction() -> None:
    """Every problem is half right in every checkpoint: nothing was chosen by luck. The first of equals is the best."""
    rows = [row(i, sample == 0, sample) for i in range(6) for sample in range(2)]
    found = best.best_on_test({10: rows, 20: rows, 30: rows})
    assert found is not None
    assert (found["corrected"], found["uncorrected"], found["step"], found["checkpoints"]) == (0.5, 0.5, 10, 3)


def test_luck_is_corrected() -> None:
    """Each checkpoint has two of six problems, no two the same: the half that did not choose has fewer of them."""
    read = {step: [row(i, i // 2 == number) for i in range(6)] for number, step in enumerate((10, 20, 30))}
    found = best.best_on_test(read)
    assert found is not None
    assert found["uncorrected"] == pytest.approx(1 / 3)
    assert found["corrected"] < 0.25
    said = best.sentence(found)
    assert said.index(f"{found['corrected']:.1%} after the split-half correction") < said.index("before it 33.3%")
    assert "is no result" in said


def test_the_problems_of_checkpoints_are_matched_by_name() -> None:
    rows = [row(i, i < 3) for i in range(6)]
    found = best.best_on_test({10: rows, 20: rows[::-1], 30: rows})
    assert found is not None
    assert found["uncorrected"] == 0.5
    assert replace(rows[0], id="p5").id in best.scores(rows)
