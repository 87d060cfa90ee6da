"""The card of a run says what the run's page says: one list of limits, one reading of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.config.schema import Config, DataConfig, OptimConfig
from oneshot.measure.control_line import words_of
from oneshot.report.gather import gather
from oneshot.report.limits import limits
from oneshot.stages.exporting import push_card
from oneshot.stages.exporting.trained import Trained
from tests.unit.report.runs import make_run


@pytest.fixture
def trained(tmp_path: Path) -> Trained:
    run = make_run(tmp_path, steps=2, own=12, other=2)
    for task, name in run.evals():
        rows = run.read_eval(task, name)[1]
        run.write_eval(task, name, {"n": len(rows), "value": sum(row.correct for row in rows) / len(rows)}, rows)
    run.checkpoint_dir(12).mkdir(parents=True)
    return Trained(run=run, config=Config(optim=OptimConfig(steps=12)), checkpoint="checkpoint-12")


def test_the_card_has_every_limit_of_the_page(trained: Trained) -> None:
    card = push_card.card_of(trained, repo="me/it", adapter=False, dtype="float32")
    assert list(card.limits) == [push_card.without_paths(text) for text in limits(gather(trained.run))]
    assert [badge for _, badge, _ in card.claims] == [claim.badge for claim in gather(trained.run).claims]


def test_another_checkpoint_has_what_holds_of_any(trained: Trained) -> None:
    facts = gather(trained.run)
    other = Trained(run=trained.run, config=trained.config, checkpoint="checkpoint-4")
    said = "\n".join(push_card.limits(other, facts))
    assert "One training run: " in said and "no control arm was given" in said
    assert "compares checkpoint-12 with base" in said and "The main comparison rests on" not in said
    base = Trained(run=trained.run, config=trained.config, checkpoint="base")
    assert push_card.limits(base, facts) == []


def test_the_built_in_example_is_named_on_both(trained: Trained) -> None:
    trained.run.write_json("config.json", trained.run.config() | {"data": {"source": "pi1"}})
    pi1 = Trained(run=trained.run, config=Config(data=DataConfig(source="pi1")), checkpoint="checkpoint-12")
    found = push_card.limits(pi1, gather(trained.run))
    assert [text for text in found if "restatement" in text] == [
        text for text in found if "pi1" in text or "paper’s" in text
    ]
    assert sum("restatement" in text for text in found) == 1


@pytest.mark.parametrize(
    "argv", [["/x/bin/oneshot", "demo"], ["demo"], [], None, ["__main__.py", "train", "--data", "a"]]
)
def test_card_and_page_read_the_command_alike(argv: list[str] | None) -> None:
    words = words_of({"argv": argv})
    assert push_card.command({"argv": argv}) == (" ".join(["oneshot", *words]) if words else "")
