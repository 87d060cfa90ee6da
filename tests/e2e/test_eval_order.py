"""What costs nothing is checked first: before a file of problems is read, or a benchmark fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oneshot.stages.evals import tasks as eval_tasks
from tests.e2e.conftest import OneShot, write_pool


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--responses", "none.jsonl", "--tasks", "math500"), "E106 the file of responses none.jsonl does not exist"),
        (
            ("--responses", "FILE", "--tasks", "math500", "--fail-under", "aime24=0.5"),
            "E102 --fail-under names 'aime24'",
        ),
        (
            ("--responses", "FILE", "--tasks", "arc_easy:loglikelihood"),
            "E105 arc_easy-loglikelihood compares likelihoods",
        ),
        (("--responses", "BAD", "--tasks", "math500"), "E301 "),
    ],
)
def test_what_costs_nothing_is_checked_before_anything_is_fetched(
    oneshot: OneShot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    def fetch(*given: Any, **more: Any) -> Any:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr(eval_tasks, "load_task", fetch)
    files = {
        "FILE": write_pool(tmp_path / "good.jsonl", [{"id": "0", "response": "1"}]),
        "BAD": write_pool(tmp_path / "bad.jsonl", [{"id": "0"}]),
    }
    told = oneshot("eval", *(files.get(word, word) for word in words))
    assert told.code in (2, 4)
    assert told.err.startswith(said)


def test_a_threshold_of_a_model_too(oneshot: OneShot, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*given: Any, **more: Any) -> Any:
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr(eval_tasks, "load_task", fetch)
    told = oneshot("eval", tiny, "--tasks", "math500", "--fail-under", "aime24=0.5")
    assert (told.code, told.err.startswith("E102 --fail-under names 'aime24'")) == (2, True)
