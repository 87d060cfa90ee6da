"""`--track`: the file is followed line by line, a resumed run goes on where it was, failures cost nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from oneshot.errors import MachineError, UsageError
from oneshot.export import tracking
from oneshot.export.trackers import TRACKERS
from oneshot.export.tracking import Sent, added, check, flat, parse
from tests.unit.export.fakes import FAKES, wandb
from tests.unit.export.runs import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.mark.parametrize("name", FAKES)
def test_config_once_then_every_step_then_the_summary(
    name: str, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = FAKES[name](monkeypatch)
    follow = run.tracking(name)
    for step in range(3):
        run.write(step)
        follow(step + 1, {"reward": 99.0})  # what is sent comes from the file
    follow.close({"headline": "text", "training": {"first": 0.25, "last": 1.0}, "paired": None, "ok": True})
    assert [(step, metrics["reward"]) for step, metrics in seen.logged] == [(0, 0.0), (1, 0.125), (2, 0.25)]
    assert all(metrics.keys() == {"reward", "dropped"} for _, metrics in seen.logged)
    assert {key: str(value) for key, value in seen.config.items()} == {
        "optim.lr": "1e-06",
        "algorithm.options.clip_high": "0.3",
        "seed": "0",
    }
    assert seen.summary == {"summary/training/first": 0.25, "summary/training/last": 1.0}
    assert len(seen.closed) == 1
    assert run.said == []
    assert capsys.readouterr().out == ""  # stdout is for data
    assert run.kept[name]["step"] == 2
    assert run.kept[name]["offset"] == run.metrics.stat().st_size


@pytest.mark.parametrize("name", FAKES)
def test_a_resumed_run_goes_on_in_the_same_tracker_run(name: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after step 3 with a checkpoint at 2: steps 2 and 3 are done again and not sent again."""
    seen = FAKES[name](monkeypatch)
    run.write(0, 1, 2, 3)
    run.tracking(name)(4, {})
    first = run.kept[name]["id"]
    run.write(0, 1, fresh=True)
    sent = dict(seen.config)
    with run.tracking(name, config={"optim": {"lr": 5.0}}) as again:
        for step in (2, 3, 4, 5):
            run.write(step)
            again(step + 1, {})
    assert seen.steps == [0, 1, 2, 3, 4, 5]
    assert run.kept[name]["id"] == first
    assert seen.config == ({"optim.lr": 5.0} if name == "trackio" else sent)  # the others have it
    assert seen.summary == {}
    assert len(seen.closed) == 1


def test_each_tracker_is_told_which_run_it_is(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {name: fake(monkeypatch) for name, fake in FAKES.items()}
    run.write(0, 1)
    for _ in range(2):
        with run.tracking("trackio,wandb,tensorboard,mlflow") as follow:
            follow(2, {})
    trackio, wandb_, board, mlflow = (seen[name].opened for name in FAKES)
    assert [how["name"] for how in trackio] == [run.folder.name] * 2
    assert {how["resume"] for how in (*trackio, *wandb_)} == {"allow"}
    assert [how["id"] for how in wandb_] == [run.folder.name] * 2
    assert {how["mode"] for how in wandb_} == {"offline"}
    assert {how["dir"] for how in wandb_} == {str(run.folder)}
    assert board == [
        {"log_dir": str(run.folder / "tensorboard")},
        {"log_dir": str(run.folder / "tensorboard"), "purge_step": 2},
    ]
    runs = [how for how in mlflow if "log_system_metrics" in how]
    assert [how.get("run_id") for how in runs] == [None, "abc123"]
    assert mlflow[0] == {"uri": f"sqlite:///{run.folder.parent / 'mlflow.db'}"}
    assert seen["mlflow"].closed == ["KILLED", "KILLED"]


def test_a_line_that_is_not_finished_waits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = wandb(monkeypatch)
    follow = run.tracking("wandb")
    follow(0, {})  # no file yet
    run.write(0)
    run.write(1, end="")
    follow(1, {})
    assert seen.steps == [0]
    with open(run.metrics, "a") as file:
        file.write("\n")
    follow(2, {})
    assert seen.steps == [0, 1]


def test_a_file_that_was_cut_and_has_grown_past_the_old_place_is_read_from_its_start(run: Run) -> None:
    run.write(0, 1)
    sent = Sent(id="x", offset=run.metrics.stat().st_size, step=1)
    text = run.metrics.read_text().splitlines(keepends=True)
    run.metrics.write_text(text[0] + text[1].replace("1.5", "1.2345678") + text[1].replace('"step": 1', '"step": 2'))
    found = list(added(run.metrics, sent))
    assert [step for step, _, _ in found] == [0, 1, 2]
    assert found[-1][2] == run.metrics.stat().st_size


def test_a_tracker_added_at_a_resume_gets_the_whole_history(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {name: fake(monkeypatch) for name, fake in FAKES.items()}
    run.write(0, 1)
    with run.tracking("wandb"):
        pass
    run.write(2)
    with run.tracking("trackio") as follow:
        follow(3, {})
    assert seen["trackio"].steps == [0, 1, 2]
    assert run.kept.keys() == {"wandb", "trackio"}


@pytest.mark.parametrize("name", FAKES)
def test_a_missing_package_is_said_before_anything_else(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, tracking.MODULES.get(name, name), None)
    with pytest.raises(MachineError, match=f"--track {name} needs the package '{name}'") as caught:
        check(name)
    assert (caught.value.code, caught.value.exit_code) == ("E204", 3)
    assert caught.value.tries[0] == f"pip install 'oneshot-rlvr[{name}]'"


def test_names() -> None:
    assert parse("") == parse("none") == parse(" , ") == []
    assert parse("WandB, trackio,wandb") == ["wandb", "trackio"]
    assert set(FAKES) == set(TRACKERS)
    with pytest.raises(UsageError, match=r"unknown tracker 'wanbd'. Did you mean 'wandb'\?") as caught:
        check("trackio,wanbd")
    assert (caught.value.code, caught.value.exit_code) == ("E102", 2)


def test_nothing_asked_for_nothing_done(run: Run) -> None:
    check("")
    run.write(0)
    with run.tracking("none") as follow:
        follow(1, {})
    assert not run.state.exists()


def test_flat() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": [2]}, "e": None}, ".") == {"a.b.c": 1, "a.d": [2], "e": None}
