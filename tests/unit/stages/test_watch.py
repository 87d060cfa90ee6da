"""`oneshot watch` in a terminal and in a pipe: what it says of a run, and that it ends with it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from oneshot.cli.main import main
from oneshot.record import RunFolder
from oneshot.stages import watch
from oneshot.stages.watching.lines import Lines
from oneshot.stages.watching.state import Snapshot, Watcher
from oneshot.stages.watching.view import curve, view
from tests.unit.measure.health_runs import rows
from tests.unit.stages.watching import FORBIDDEN, HOSTILE, drawn, flat, running, step


def look(run: RunFolder, after: float = 1.0) -> Snapshot:
    return Watcher(run).look(run.status()["updated"] + after)


def test_the_picture_shows_what_counts_and_never_the_loss(tmp_path: Path) -> None:
    run = running(tmp_path)
    step(run, 3, loss=0.001, train__accuracy=0.75, entropy=0.25)
    run.write_eval("dev", "base", {}, rows(2, 10))
    run.write_eval("dev", "checkpoint-3", {}, rows(5, 10))
    run.event("health", step=3, finding="for 5 steps nearly all were cut.")
    text = drawn(view(look(run), 100))
    for said in (
        "step 4 of 20 · 2.0 s a step · left 0:32",
        "running, last sign of life 1 s ago",
        "training right",
        "75%",
        "50.0% (24 to 76), n 10, step 3",  # Wilson's interval of 5 of 10
        "0.25 nats a token",
        "best and worst of one group: step 3, group 1, reference 5",
        "1 right  So it is 5. (3-1-1)  [cut at 3 tokens]",
        "0 wrong  So it is 4. (3-1-0)",
        "! health: for 5 steps nearly all were cut.",
    ):
        assert said in text, (said, text)
    assert "loss" not in text


def test_saturation_and_a_control_arm_are_said(tmp_path: Path) -> None:
    run = running(tmp_path, steps=0, reward={"control": "shuffled"})
    for number in range(12):
        step(run, number, train__accuracy=1.0)
    text = drawn(view(look(run), 100))
    assert "CONTROL ARM: SHUFFLED REWARDS" in text
    assert "solved since step 0" in text


def test_a_dead_process_and_an_old_heartbeat_are_said(tmp_path: Path) -> None:
    run = running(tmp_path)
    assert look(run, 400).heart.state == "silent"  # this process lives
    status = run.status() | {"pid": _dead()}
    run.write_json("status.json", status)
    now = look(run, 400)
    assert now.heart.over
    text = drawn(view(now, 100))
    assert "the process is gone" in text
    assert "7 min old" in text


def _dead() -> int:
    """The number of a process that has ended."""
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    return child


def test_no_text_of_a_model_or_a_file_acts(tmp_path: Path) -> None:
    run = running(tmp_path, steps=0)
    step(run, 0, text=HOSTILE)
    run.event("health", step=1, finding=HOSTILE)
    run.write_eval(f"dev {HOSTILE}", "base", {}, rows(1, 4))
    now = look(run)
    said = [drawn(view(now, 90)), drawn(view(now, 90), colour=True), *Lines(lambda: 0.0).new(now)]
    for text in said:
        assert not [bad for bad in FORBIDDEN if bad in text]
    assert "[bold red]markup[/] :smile:" in flat(said[0])  # shown, not obeyed
    assert all("\n" not in line for line in said[2:])


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_any_width_holds_the_picture(tmp_path: Path, width: int) -> None:
    text = drawn(view(look(running(tmp_path)), width), width)
    assert max(map(len, text.splitlines())) <= width


def test_curves() -> None:
    assert curve([0.0, 0.5, 1.0], share=True, width=9) == "▁▅█"
    assert curve([2.0, None, 4.0], share=False, width=9) == "▅·█"  # from 0 to the greatest
    assert curve([-1.0, 1.0], share=False, width=9) == "▁█"
    assert curve([0.0] * 50 + [1.0] * 50, share=True, width=4) == "▁▁██"
    assert curve([], share=True, width=4) == ""
    assert curve([3.0, 3.0], share=False, width=4) == "██"
    assert curve([0.0, 0.0], share=False, width=4) == "▁▁"


def test_a_run_before_its_first_step_and_one_of_another_version(tmp_path: Path) -> None:
    run = running(tmp_path, steps=0)
    assert "step 0 of 20" in drawn(view(look(run), 80))
    (run.path / "metrics.jsonl").write_text('{"iteration": 1}\n{"step": 0, "attempt": 1, "entropy": null}\nx\n')
    (run.path / "config.json").write_text("{")
    text = flat(drawn(view(look(run), 80)))
    assert "step 1" in text
    assert "1 line without a JSON object" in text
    assert "config.json is not JSON" in text


def test_lines_say_each_new_thing_once(tmp_path: Path) -> None:
    run = running(tmp_path, steps=5)
    clock = [0.0]
    watcher, lines = Watcher(run), Lines(lambda: clock[0])

    def new() -> list[str]:
        return lines.new(watcher.look(run.status()["updated"] + 1))

    first = new()
    assert first[:2] == [run.path.name, "running, last sign of life 1 s ago"]
    assert [line.split("  ")[0] for line in first[2:]] == ["step 5/20"]  # not the four before it
    assert new() == []
    step(run, 5)
    step(run, 6)
    run.write_eval("dev", "base", {}, rows(5, 10))
    run.event("dropped", step=6, loss=None, grad_norm=None)
    told = new()
    assert [line.split("  ")[0] for line in told[:2]] == ["step 6/20", "step 7/20"]
    assert told[2:] == [
        "held-out dev, step 0: 50.0% of 10 problems (95 % interval 23.7% to 76.3%)",
        "the update of step 7 was dropped: its loss or gradient is not finite",
    ]
    clock[0] = 31.0
    assert new() == ["step 7: running, last sign of life 1 s ago"]
    run.start_attempt()
    run.cut_back(5)
    step(run, 5)
    run.event("resume", step=5, redone=2)
    again, continued = new()
    assert again.startswith("step 6/20")
    assert continued == "continued after step 5"


def scripted(run: RunFolder, *acts: object) -> Iterator[object]:
    """What happens to a run at each wait of the one who watches."""
    for act in acts:
        if callable(act):
            act()
        yield None
    raise AssertionError("it should have ended")


def test_watching_ends_with_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = running(tmp_path)
    acts = scripted(run, lambda: step(run, 3), None, lambda: run.write_status(state="done"))
    last = watch.say(Watcher(run), quiet=False, wait=lambda seconds: next(acts))
    assert last.heart.state == "done"
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "done"
    assert out[-2].startswith("step 4/20")


def test_the_picture_on_a_screen_of_its_own(tmp_path: Path) -> None:
    run, out = running(tmp_path), io.StringIO()
    acts = scripted(run, lambda: step(run, 3), lambda: run.write_status(state="failed"))
    console = Console(file=out, force_terminal=True, width=100, height=40, color_system=None)
    watch.draw(Watcher(run), console, wait=lambda seconds: next(acts))
    before, _, after = out.getvalue().rpartition("\x1b[?1049l")
    assert "step 4 of 20" in before
    assert "failed" in after  # the last picture stays


def test_ctrl_c_ends_watching_and_touches_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = running(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in run.path.rglob("*")}

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(watch, "say", interrupt)
    assert main(["watch", str(run.path)]) == 130
    told = capsys.readouterr()
    assert "the run is not touched" in told.err
    assert "Traceback" not in told.err
    assert {path: path.stat().st_mtime_ns for path in run.path.rglob("*")} == before


def test_once_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = running(tmp_path)
    run.write_eval("dev", "base", {}, rows(5, 10))
    assert main(["watch", "latest", "--out", str(tmp_path), "--once"]) == 0
    assert "step 3 of 20" in capsys.readouterr().out
    assert main(["watch", str(run.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["step"], told["steps"], told["state"]) == ("oneshot.watch/1", 3, 20, "running")
    assert told["held_out"]["dev"][0]["value"] == 0.5
    assert told["metrics"]["train/accuracy"] == 0.5


def test_a_finished_run_is_shown_and_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = running(tmp_path)
    run.write_status(state="done")
    assert main(["watch", str(run.path)]) == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1] == "done"
    assert f"next: oneshot report {run.path}" in told.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], "E104", "there is no run 'nowhere'"),
        (["RUN", "--port", "9"], "E105", "it needs --web"),
        (["RUN", "--web", "--once"], "E105", "do not go together"),
        (["RUN", "--web", "--port", "99999"], "E103", "from 0 to 65535"),
        (["RUN", "--web", "--port", "http"], "E103", "from 0 to 65535"),
        (["RUN", "--web", "--offline"], "E105", "opens none"),
    ],
)
def test_what_cannot_be_watched(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: str,
    said: str,
) -> None:
    monkeypatch.setattr("oneshot.cli.main.go_offline", lambda: None)
    run = running(tmp_path)
    assert main(["watch", *(str(run.path) if word == "RUN" else word for word in words)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(code)
    assert said in err
