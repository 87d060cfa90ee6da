"""`oneshot doctor RUN`: the findings as text and as an object, and the exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from oneshot.cli.main import main
from oneshot.measure import health
from oneshot.stages.training.endings import starting
from oneshot.stages.watching.run_health import machine_of
from tests.unit.measure.health_runs import make, rows
from tests.unit.stages.watching import FORBIDDEN, HOSTILE, step


def test_a_healthy_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path)
    assert main(["doctor", str(run.path)]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0] == "ok    done; step 20 of 20"
    assert all(line[:6] in ("ok    ", "info  ", "warn  ", "      ") for line in lines)
    assert "      -> oneshot train --data 'one file.jsonl' --answer 5 --control shuffled" in lines
    # Nothing held out was measured, and a run with a warning is not called healthy.
    assert told.err == f"{run.path.name}: not broken, 1 warning to look at (evaluations)\n"
    run.write_eval("dev", "base", {}, rows(2, 10))
    run.write_eval("dev", "checkpoint-20", {}, rows(5, 10))
    assert main(["doctor", str(run.path)]) == 0
    assert capsys.readouterr().err == f"{run.path.name}: healthy\n"


def test_a_broken_run_ends_with_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path, state="failed")
    assert main(["doctor", "latest", "--out", str(tmp_path)]) == 5
    told = capsys.readouterr()
    assert told.out.startswith("bad   failed after step 20 of 20")
    assert f"      -> oneshot train --resume {run.path}" in told.out
    assert told.err == f"{run.path.name}: broken (state), and 1 warning (evaluations)\n"


def test_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path, state="failed")
    assert main(["doctor", str(run.path), "--json"]) == 5
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert (found["schema"], found["run"]) == ("oneshot.run-health/1", str(run.path))
    assert (found["verdict"], found["healthy"], found["counts"]["bad"]) == ("broken", False, 1)
    assert set(found["findings"][0]) == {"rule", "level", "text", "numbers", "next"}
    assert told.err == ""
    run.write_status(state="done")
    assert main(["doctor", str(run.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["verdict"], found["healthy"], found["counts"]["warn"]) == ("warnings", False, 1)


def test_a_damaged_line_costs_that_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path)
    metrics = run.path / "metrics.jsonl"
    lines = metrics.read_bytes().split(b"\n")
    lines[6] = lines[6][:30]
    metrics.write_bytes(b"\n".join(lines))
    assert main(["doctor", str(run.path)]) == 0
    out = capsys.readouterr().out.splitlines()
    said = f"warn  {metrics}, line 7 is not JSON: left out here, 19 rows are read; a resumed run refuses it"
    assert out[:3] == [said, f"      -> sed -n 7p {metrics}", "ok    done; step 20 of 20"]
    assert "ok    training accuracy 50% -> 50% in 19 steps" in out


def test_a_run_that_starts_again_is_not_taken_for_the_attempt_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make(tmp_path, state="stopped")
    assert main(["doctor", str(run.path)]) == 0
    assert capsys.readouterr().out.startswith("warn  stopped; step 20 of 20\n")
    with starting(run):
        assert main(["doctor", str(run.path)]) == 0
        assert capsys.readouterr().out.startswith("ok    running, starting, last sign of life 0 s ago; step 20 of 20\n")


def test_a_folder_that_goes_meanwhile(tmp_path: Path) -> None:
    run = make(tmp_path, steps=1)
    shutil.rmtree(run.path)
    machine = machine_of(run)
    assert (machine.free, machine.written) == (None, 0.0)
    assert {finding.level for finding in health.examine(run, machine)} <= {"info", "warn"}


def test_no_file_of_a_run_acts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path, argv=["train", HOSTILE], state="failed")
    step(run, 20, text=HOSTILE)
    run.event("attempt", reward={"grader": HOSTILE})
    run.event("attempt", reward={"grader": "another"})
    run.log(f"E305 {HOSTILE}")
    assert main(["doctor", str(run.path)]) == 5
    out = capsys.readouterr().out
    assert not [character for character in FORBIDDEN if character in out]
    assert "⟨ESC⟩" in out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], "E104", "there is no run"),
        (["."], "E104", "is not a run folder"),
        (["x", "y"], "E103", "too many"),
    ],
)
def test_no_run_at_all(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", *words]) == 2
    err = capsys.readouterr().err
    assert err.startswith(code)
    assert said in err


def test_fetching_is_about_the_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path, steps=1)
    assert main(["doctor", str(run.path), "--fetch"]) == 2
    assert capsys.readouterr().err.startswith("E105")


def test_damage_is_a_finding_and_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make(tmp_path)
    for name in ("status.json", "config.json", "env.json", "metrics.jsonl", "events.jsonl", "example.jsonl"):
        (run.path / name).write_text("[1]\n[2]\n")
    assert main(["doctor", str(run.path)]) == 5
    assert capsys.readouterr().out.count("bad   ") >= 6


def test_what_looks_at_a_run_loads_no_torch() -> None:
    code = (
        "import sys\nfrom oneshot.stages import doctor, ls, rollouts, watch\n"
        "from oneshot.stages.watching import live_page, run_health\n"
        "assert not {'torch', 'transformers', 'tokenizers'} & {name.partition('.')[0] for name in sys.modules}"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
