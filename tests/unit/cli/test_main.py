"""The process boundary: exit statuses, what stands on stdout and stderr, help."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.cli import main as entry
from oneshot.cli.help import help_text
from oneshot.cli.main import main
from oneshot.cli.verbs import VERBS
from oneshot.config.load import load
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.errors import BelowThreshold, DataError, HealthAbort, MachineError, OneshotError, Stopped, UsageError


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONESHOT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def stage(monkeypatch: pytest.MonkeyPatch, run: Callable[[Request], int]) -> None:
    """Let every verb call `run`."""
    monkeypatch.setattr(entry, "_stage", lambda target: run)


def raising(error: BaseException) -> Callable[[Request], int]:
    def run(request: Request) -> int:
        raise error

    return run


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    width = max(map(len, VERBS))
    for name, verb in VERBS.items():
        assert f"  {name:<{width}}  {verb.help}" in out.splitlines()


def test_no_word_at_all_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr()
    assert (told.out, "usage: oneshot" in told.err) == ("", True)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("oneshot 0.")


def test_the_stage_gets_the_request_and_its_status_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Request] = []
    stage(monkeypatch, lambda request: seen.append(request) or 6)  # type: ignore[func-returns-value]
    assert main(["train", "--steps", "3"]) == 6
    assert (seen[0].verb, seen[0].config.optim.steps) == ("train", 3)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (OneshotError("x"), 1),
        (UsageError("x"), 2),
        (MachineError("x"), 3),
        (DataError("x"), 4),
        (HealthAbort("x"), 5),
        (BelowThreshold("x"), 6),
        (Stopped("x", exit_code=75), 75),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_statuses(error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(monkeypatch, raising(error))
    assert main(["train"]) == status


def test_an_error_is_rendered_on_stderr_and_with_json_also_an_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = DataError("row 3 is empty.", code="E301", tries=("fix row 3",), kept="Nothing was written.")
    stage(monkeypatch, raising(error))
    assert main(["train"]) == 4
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "E301 row 3 is empty.\n  try: fix row 3\n  Nothing was written.\n"
    assert main(["train", "--json"]) == 4
    assert json.loads(capsys.readouterr().out) == {
        "schema": "oneshot.error/1",
        "code": "E301",
        "message": "row 3 is empty.",
        "tries": ["fix row 3"],
        "kept": "Nothing was written.",
        "exit_code": 4,
    }


def test_json_also_for_an_error_before_the_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--optim.lrr", "1", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["code"] == "E101"


def test_terminal_escapes_in_a_message_are_shown_not_obeyed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(monkeypatch, raising(DataError("said \x1b[2J")))
    main(["train"])
    assert "said \\x1b[2J" in capsys.readouterr().err


def test_an_internal_error_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_home: Path
) -> None:
    stage(monkeypatch, raising(ZeroDivisionError("by zero")))
    assert main(["train"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("E000 internal error: ZeroDivisionError: by zero\n")
    assert "Traceback" not in err
    log = own_home / "crash.log"
    assert str(log) in err
    assert "ZeroDivisionError: by zero" in log.read_text(encoding="utf-8")
    assert main(["train", "-v"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_crash_is_told_even_where_its_log_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("ONESHOT_HOME", str(tmp_path / "file"))
    stage(monkeypatch, raising(ZeroDivisionError("by zero")))
    assert main(["train"]) == 1
    assert "could not be written" in capsys.readouterr().err


def test_a_missing_package_is_e204_and_a_missing_stage_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Callable[[str], object]:
        def load_module(module: str) -> object:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return load_module

    monkeypatch.setattr(entry.importlib, "import_module", absent("torch"))
    assert main(["train"]) == 3
    monkeypatch.setattr(entry.importlib, "import_module", absent("oneshot.stages.train"))
    assert main(["train"]) == 1


def test_going_offline_comes_before_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(entry, "go_offline", lambda: order.append("offline"))
    monkeypatch.setattr(entry, "_stage", lambda target: order.append("stage") or (lambda request: 0))
    assert main(["train", "--offline"]) == 0
    assert order == ["offline", "stage"]
    assert main(["train"]) == 0
    assert order == ["offline", "stage", "stage"]


def test_notes_on_foreign_names_go_to_stderr_unless_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(monkeypatch, lambda request: 0)
    main(["train", "--learning-rate", "1e-6"])
    assert capsys.readouterr().err == "note: learning-rate is called --optim.lr here\n"
    main(["train", "--learning-rate", "1e-6", "-q"])
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_is_quiet() -> None:
    code = "import sys; from oneshot.cli.main import main; sys.exit(main(['recipes', 'show', 'demo']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), err) == (entry.PIPE_CLOSED, b"")


@pytest.mark.parametrize("name", VERBS)
def test_verb_help_shows_flags_and_settings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    out = capsys.readouterr().out
    verb = VERBS[name]
    assert out.startswith(" ".join(["usage: oneshot", name, *verb.positional, "[FLAGS]"]))
    for flag in verb.flags:
        assert f"--{flag.name}" in out
        assert flag.help in out
    for section in ("model", "rollout", "optim"):
        assert (f"--{section}." in out) == any(s.partition(".")[0] == section for s in verb.settings)


def test_help_shows_defaults_and_one_line_of_meaning() -> None:
    config = load([], {}, {"optim.lr": "3e-06"}).config
    text = " ".join(help_text("train", config).split())
    assert "--optim.lr FLOAT Learning rate after warm-up. (default: 3e-06)" in text
    assert "--rollout.group-size INT Responses per group;" in text
    assert "--algorithm.kl-kind STR" in text
    assert "options" not in [line.strip() for line in help_text("train", Config()).split("\n")]


def test_help_of_a_verb_without_sections_needs_no_tyro(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert "list|show|copy" in help_text("recipes", Config())
    assert "--save.runs" in help_text("report", Config())
