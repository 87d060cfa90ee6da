from __future__ import annotations

import os
import platform
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.types import Completion, Group, Verdict
from tests.unit.store.samples import NASTY, everything, groups, make


def test_name_and_first_files(tmp_path: Path) -> None:
    run = make(tmp_path / "deep" / "runs", slug="../Qwen2.5 π/One!")
    assert re.fullmatch(r"\d{4}-\d{4}-qwen2\.5-one-[0-9a-f]{4}", run.path.name)
    assert run.path.parent == tmp_path / "deep" / "runs"
    assert run.config() == {"seed": 0, "model": {"name": "m"}}
    assert (run.status()["state"], run.status()["step"], run.summary()) == ("running", 0, {})
    assert {"torch", "transformers", "numpy", "tokenizers"} <= set(run.env()["packages"])
    assert run.env()["argv"] == ["oneshot", "demo"]


def test_an_empty_slug_still_names_the_run(tmp_path: Path) -> None:
    assert "-run-" in make(tmp_path, slug="???").path.name


def test_a_taken_name_is_never_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suffixes = iter(["aaaa", "aaaa", "bbbb"])
    token_hex = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", lambda size: next(suffixes) if size == 2 else token_hex(size))
    first, second = make(tmp_path), make(tmp_path)
    assert (first.path.name[-4:], second.path.name[-4:]) == ("aaaa", "bbbb")


def test_no_free_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token_hex = secrets.token_hex
    monkeypatch.setattr(secrets, "token_hex", lambda size: "aaaa" if size == 2 else token_hex(size))
    before = everything(make(tmp_path).path)
    with pytest.raises(UsageError, match="none is reused") as caught:
        make(tmp_path)
    assert caught.value.code == "E104"
    assert everything(next(tmp_path.iterdir())) == before


def test_a_file_where_runs_should_go(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    for root in (tmp_path / "runs", tmp_path / "runs" / "below"):
        with pytest.raises(UsageError) as caught:
            make(root)
        assert caught.value.code == "E104"


def test_open_by_path_by_name_and_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "runs"
    older, newer = make(root, "zzz"), make(root, "aaa")
    newer.write_json("env.json", newer.env() | {"created": older.env()["created"] + 1})
    (root / "not-a-run").mkdir()
    for ref in (str(older.path), older.path.name):
        assert RunFolder.open(ref, root).path == older.path
    assert RunFolder.open("latest", root).path == newer.path
    monkeypatch.chdir(root)
    assert RunFolder.open(older.path.name, Path("elsewhere")).config() == older.config()


def test_latest_without_a_creation_time_uses_the_file(tmp_path: Path) -> None:
    first, second = make(tmp_path, "zzz"), make(tmp_path, "aaa")
    for run, when in ((first, 1000), (second, 2000)):
        (run.path / "env.json").unlink()
        os.utime(run.path / "config.json", (when, when))
    assert RunFolder.open("latest", tmp_path).path == second.path


@pytest.mark.parametrize("ref", ["latest", "nothing", "folder"])
def test_open_refuses_what_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError) as caught:
        RunFolder.open(ref, tmp_path / "runs")
    assert caught.value.code == "E104" and caught.value.tries


def test_open_names_the_nearest_run(tmp_path: Path) -> None:
    run = make(tmp_path)
    with pytest.raises(UsageError, match=re.escape(f"Did you mean {run.path.name!r}")):
        RunFolder.open(run.path.name[:-1], tmp_path)


def test_status_is_merged(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_status(state="running", step=3, steps=12, eta=60.0)
    run.write_status(state="done")
    status = run.status()
    assert {key: status[key] for key in ("state", "step", "steps", "eta")} == {
        "state": "done",
        "step": 3,
        "steps": 12,
        "eta": None,
    }
    assert (status["pid"], status["host"]) == (os.getpid(), platform.node())
    with pytest.raises(AssertionError):
        run.write_status(state="finished")


def test_groups_come_back_as_they_went(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.step(12, {"reward": 0.5}, groups())
    assert run.rollout_steps() == [12]
    assert run.read_groups(12) == [
        Group(
            id=group.id,
            problem=group.problem,
            prompt_tokens=group.prompt_tokens,
            completions=(
                Completion(
                    tokens=(5, 6),
                    logprobs=(-0.1, -2.0 / 3),
                    text=NASTY,
                    finished=True,
                    reward=1.0,
                    verdict=Verdict(correct=True, extracted="7", method="number"),
                ),
                group.completions[1],
            ),
            policy_version=4,
        )
        for group in groups()
    ]
    row = run.rollouts(12)[3]
    assert (row["step"], row["group"], row["sample"], row["problem_id"], row["method"]) == (12, 1, 1, "p", None)


def test_equal_steps_give_equal_files(tmp_path: Path) -> None:
    one, two = make(tmp_path), make(tmp_path)
    for run in (one, two):
        run.step(0, {"reward": 1.0}, groups())
    name = Path("rollouts") / "step_000000.jsonl.gz"
    assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert (one.path / name).read_bytes()[4:8] == bytes(4)  # no time stamp


def test_the_last_attempt_wins(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.start_attempt() == 1
    for step in range(4):
        run.step(step, {"reward": 0.0}, groups(reward=0.0))
    again = RunFolder.open(str(run.path), tmp_path)
    assert again.attempt == 1
    assert again.start_attempt() == 2
    assert again.log_path == run.path / "logs" / "attempt_2" / "main.log" and again.log_path.exists()
    for step in (2, 3, 4):
        again.step(step, {"reward": 1.0, "step": 99.0}, groups())
    rows = again.metrics()
    assert [(row["step"], row["attempt"], row["reward"]) for row in rows] == [
        (0, 1, 0.0),
        (1, 1, 0.0),
        (2, 2, 1.0),
        (3, 2, 1.0),
        (4, 2, 1.0),
    ]
    assert len((run.path / "metrics.jsonl").read_text().splitlines()) == 7
    assert again.read_groups(2)[0].completions[0].reward == 1.0


def test_events_keep_their_order(tmp_path: Path) -> None:
    run = make(tmp_path)
    assert run.events() == []
    run.start_attempt()
    run.event("signal", name="SIGTERM")
    run.event("resume", step=3)
    assert [(row["kind"], row["attempt"]) for row in run.events()] == [("signal", 1), ("resume", 1)]
    assert run.events()[0]["name"] == "SIGTERM"


def test_nothing_heavy_is_imported(root: Path) -> None:
    code = (
        "import sys, oneshot.record, oneshot.history, oneshot.measure.gains, oneshot.measure.dynamics;"
        "print([name for name in ('torch', 'transformers', 'tyro', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
