"""`oneshot ls`: what it says of runs, studies, evaluations and damage, and that nothing stops it."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.record import EvalFolder, RunFolder
from oneshot.stages import ls
from oneshot.stages.watching.ls_entries import PART, Sizes, entries, size
from tests.unit.measure.health_runs import make
from tests.unit.stages.watching import FORBIDDEN, HOSTILE, running, step

PAIR = {
    "base": 0.25,
    "trained": 0.5,
    "estimate": 0.25,
    "ci_low": 0.125,
    "ci_high": 0.375,
    "n": 40,
    "badge": "supported",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def told(root: Path, after: float = 1.0) -> dict[str, dict[str, Any]]:
    """Name -> entry, `after` seconds after the newest sign of life of the runs in it."""
    updated = [
        RunFolder(path.parent).status()["updated"] for path in root.rglob("status.json") if path.stat().st_size > 2
    ]
    found = entries(root, max(updated, default=0.0) + after, Sizes())
    return {entry["name"]: entry for entry in found}


def born(run: RunFolder, second: float) -> RunFolder:
    run.write_json("env.json", run.env() | {"created": second})
    return run


def test_a_finished_run(root: Path) -> None:
    run = make(root, lambda step: {"train/accuracy": step / 20}, model={"name": "tiny"})
    run.write_json("summary.json", {"paired": PAIR, "tasks": {"math500": {"paired": {**PAIR, "n": 500}}}})
    entry = told(root)[run.path.name]
    assert (entry["kind"], entry["state"], entry["step"], entry["steps"]) == ("run", "done", 20, 20)
    assert entry["training"] == {"first": 0.0, "last": 0.95}
    assert entry["headline"] == {"on": "held out", **{key: PAIR[key] for key in PAIR if key != "badge"}}
    assert (entry["model"], entry["example"], entry["examples"], entry["label"]) == ("tiny", "2+3?", 1, "")
    assert entry["bytes"] == sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    (_, line) = ls.lines([entry])
    assert "done" in line and "20/20" in line and "0% -> 95%" in line
    assert "25.0% -> 50.0%, +25.0 [+12.5, +37.5]" in line


def test_without_a_dev_set_the_first_task_is_the_headline(root: Path) -> None:
    run = make(root, steps=1)
    run.write_json("summary.json", {"tasks": {"math500": {"paired": PAIR}}})
    assert "math500 25.0% -> 50.0%" in ls.lines([told(root)[run.path.name]])[1]


def test_a_control_arm_and_corrupted_answers_are_said(root: Path) -> None:
    arm = make(root, steps=1, reward={"control": "shuffled"})
    noise = make(root, steps=1, examples=3, data={"corrupt": 0.5})
    found = told(root)
    assert found[arm.path.name]["label"] == "control arm: shuffled rewards"
    text = "\n".join(ls.lines([*found.values()]))
    assert "CONTROL ARM: SHUFFLED REWARDS" in text
    assert "ANSWERS OF 50 % OF THE EXAMPLES CORRUPTED" in text
    assert "2+3? (the first of 3 examples)" in text
    assert found[noise.path.name]["examples"] == 3


def test_running_gone_silent_stopped_failed(root: Path) -> None:
    names = {}
    for state in ("running", "stopped", "failed"):
        names[state] = make(root, steps=2, state=state).path.name
    gone = make(root, steps=2, state="running")
    gone.write_json("status.json", gone.status() | {"pid": _dead()})
    found = told(root, 30)
    assert {state: found[name]["state"] for state, name in names.items()} == {s: s for s in names}
    assert found[gone.path.name]["state"] == "gone"
    assert re.search(r"running, \d+ s ", ls.lines([found[names["running"]]])[1])
    assert told(root, 400)[names["running"]]["state"] == "silent"


def _dead() -> int:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    return child


def test_newest_first(root: Path) -> None:
    for second in (200.0, 300.0, 100.0):
        born(make(root, steps=0), second)
    assert [entry["created"] for entry in told(root).values()] == [300.0, 200.0, 100.0]


def test_studies_are_summed_up_by_their_cells(root: Path) -> None:
    study = root / "study-x"
    live, dead = running(study), running(study)
    dead.write_json("status.json", dead.status() | {"pid": _dead()})
    cells = [
        {"arm": "a", "seed": 0, "run": "x", "state": "done"},
        {"arm": "b", "seed": 0, "run": "", "state": "waiting"},
    ]
    cells += [{"arm": "a", "seed": n, "run": run.path.name, "state": "running"} for n, run in enumerate((live, dead))]
    body = {"cells": cells, "arms": {"a": {}, "b": {}}, "seeds": [0, 1], "claim": "entropy\nhelps"}
    (study / "study.json").write_text(json.dumps(body))
    entry = told(root, 30)["study-x"]
    assert (entry["kind"], entry["state"], entry["done"], entry["cells"]) == ("study", "running", 1, 4)
    assert entry["states"] == {"done": 1, "gone": 1, "running": 1, "waiting": 1}
    line = ls.lines([entry])[1]
    assert "1/4 cells" in line and "study: 2 arms, 2 seeds; entropy helps" in line
    (study / "study.json").write_text(json.dumps({**body, "cells": cells[:1]}))
    assert told(root)["study-x"]["state"] == "done"
    (study / "study.json").unlink()
    (study / "preregistration.json").write_text("{}")
    assert told(root)["study-x"]["state"] == "waiting"


def test_evaluations_of_a_model_and_folders_of_others(root: Path) -> None:
    made = EvalFolder.open(root / "eval-tiny", {"model": "tiny"})
    (made.path / "evals" / "math500" / "base").mkdir(parents=True)
    (made.path / "evals" / "math500" / "base" / "results.json").write_text("{}")
    (root / "notes").mkdir()
    (root / "a-model").mkdir()
    (root / "a-model" / "config.json").write_text("{}")  # a model's folder, no run
    (root / "picks.jsonl").write_text("")
    found = told(root)
    assert list(found) == ["eval-tiny"]
    assert (found["eval-tiny"]["model"], found["eval-tiny"]["tasks"]) == ("tiny", ["math500"])
    assert "evaluated on math500" in ls.lines([*found.values()])[1]


DAMAGE = {
    "no status": ("status.json", None),
    "status no JSON": ("status.json", "{"),
    "status no object": ("status.json", "[]"),
    "no config": ("config.json", None),
    "config no JSON": ("config.json", "\x00"),
    "config without sections": ("config.json", "{}"),
    "sections that are none": ("config.json", '{"model": 3, "optim": []}'),
    "summary no JSON": ("summary.json", "{"),
    "summary without numbers": ("summary.json", '{"paired": {"base": 1}}'),
    "numbers that are none": ("summary.json", '{"tasks": [1, 2]}'),
    "nested without end": ("summary.json", "[" * 100_000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_folder_is_said_and_hides_no_other(damage: str, root: Path) -> None:
    file, text = DAMAGE[damage]
    good, bad = born(make(root, steps=1), 200.0), born(make(root, steps=1), 100.0)
    if text is None:
        (bad.path / file).unlink()
    else:
        (bad.path / file).write_text(text)
    now = good.status()["updated"] + 1
    found = {entry["name"]: entry for entry in entries(root, now, Sizes())}
    assert found[good.path.name]["state"] == "done"
    assert found[bad.path.name]["kind"] == "damaged"
    assert found[bad.path.name]["why"]
    assert any("damaged" in line for line in ls.lines([*found.values()]))


@pytest.mark.parametrize("text", ["[]", '{"cells": [{}]}', '{"cells": 3}', "{", '{"cells": [], "arms": 3}'])
def test_a_damaged_study(text: str, root: Path) -> None:
    (root / "study-x").mkdir()
    (root / "study-x" / "study.json").write_text(text)
    assert told(root)["study-x"]["kind"] == "damaged"


def test_torn_and_strange_lines_cost_a_run_nothing(root: Path) -> None:
    run = running(root, steps=2)
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(b'[1]\n"x"\n{"step": 2, "train/accuracy": 0.9')
    (run.path / "env.json").write_text("{")
    assert told(root)[run.path.name]["training"] == {"first": 0.5, "last": 0.5}


def test_of_a_long_file_both_ends_are_read(root: Path) -> None:
    run = running(root, steps=0)
    rows = ({"step": n, "time": 1.0, "attempt": 1, "train/accuracy": n / 10000, "x": "y" * 50} for n in range(5001))
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (run.path / "metrics.jsonl").stat().st_size > 4 * PART
    assert told(root)[run.path.name]["training"] == {"first": 0.0, "last": 0.5}


def test_sizes_are_given_up_when_their_time_is_spent(root: Path) -> None:
    _, newest = (born(make(root, steps=1), second) for second in (1.0, 2.0))
    folders = 1 + sum(path.is_dir() for path in newest.path.rglob("*"))
    ticks = iter([0.0] * (1 + folders))  # one look at the clock for the end, one for each folder of the newest run
    found = entries(root, 1.0, Sizes(seconds=2.0, clock=lambda: next(ticks, 9.0)))
    assert [entry["bytes"] is None for entry in found] == [False, True]
    assert (size(None), size(0), size(1023), size(1024), size(5 * 1024**3)) == (
        "?",
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 GiB",
    )


def test_no_text_of_a_file_acts(root: Path) -> None:
    run = running(root, steps=1)
    run.write_json("config.json", run.config() | {"model": {"name": HOSTILE}})
    (run.path / "example.jsonl").write_text(json.dumps({"prompt": HOSTILE}) + "\n")
    (root / "0101-\x1b[2J").mkdir()
    (root / "0101-\x1b[2J" / "status.json").write_text("{")
    found = entries(root, 1.0, Sizes())
    assert len(found) == 2
    for line in ls.lines(found):
        assert not [bad for bad in FORBIDDEN if bad in line]
        assert "\n" not in line
    assert max(map(len, ls.lines(found, width=60))) == 60


def test_through_the_command_line(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)
    assert main(["ls", "--runs", str(root)]) == 0
    out = capsys.readouterr()
    assert (out.out, "nothing in" in out.err) == ("", True)
    run = running(root)
    step(run, 3)
    assert main(["ls", "--runs", str(root)]) == 0
    assert f"{run.path.name}  running, " in capsys.readouterr().out
    assert main(["ls", "--runs", str(root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["folder"]) == ("oneshot.ls/1", str(root))
    assert [entry["step"] for entry in told["entries"]] == [4]
    assert main(["ls", "--runs", str(root / "nowhere")]) == 2
    assert "E106 the folder of runs" in capsys.readouterr().err
