"""`oneshot chat` of runs of a tiny model: who answers, with which prompt, and how it reaches pipe and terminal."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oneshot.data.prompts import render
from oneshot.model.policy import load
from oneshot.record import RunFolder
from oneshot.rollout.native import NativeEngine
from oneshot.stages.serving import chat_answers
from oneshot.types import Problem, Sampling
from tests.e2e.conftest import OneShot

SHORT = ("--steps", "2", "--save.every", "1", "--allow-unsolved", "--yes", "--optim.lr", "5e-2")
PUT = ("--data.system", "Be brief.", "--data.suffix", "Think.", "--evals.suffix", "Answer.")


@pytest.fixture
def run(train: OneShot) -> RunFolder:
    return train(*SHORT, *PUT).run


def native(model: Path, question: str, *, limit: int = 10, **put: str) -> str:
    """What the project's own sampler says to a question."""
    policy = load(str(model), home=model, offline=True)
    prompt = render(policy.tokenizer, Problem(id="q", prompt=question, answer=""), **put)  # type: ignore[arg-type]
    (made,) = NativeEngine(policy).generate([prompt], Sampling(temperature=0.0, max_new_tokens=limit), [(0, 0)])
    return made.text


def test_both_answer_as_in_the_evaluation(run: RunFolder, oneshot: OneShot, tiny: Path) -> None:
    told = oneshot("chat", run.path, "--once", "--json", "--quiet")
    assert told.code == 0, told.err
    (row,) = told.json["problems"]
    assert (row["question"], row["reference"]) == ("What is 2 + 3?", "5")
    put = {"system": "Be brief.", "suffix": "Answer."}
    assert row["answers"]["base"]["text"] == native(tiny, "What is 2 + 3?", **put)
    assert row["answers"]["trained"]["text"] == native(run.checkpoint_dir(2), "What is 2 + 3?", **put)
    assert row["answers"]["base"]["text"] != row["answers"]["trained"]["text"]
    assert told.json["schema"] == "oneshot.chat/1"
    assert told.json["model"] == run.path.name


def test_settings_of_the_run_may_be_changed(run: RunFolder, oneshot: OneShot, tiny: Path) -> None:
    words = ("--problem", "2 + 2?", "--suffix", "", "--system", "Go.", "--max-new-tokens", "4", "--once", "--json")
    answers = oneshot("chat", f"{run.path}:base", *words).json["problems"][0]["answers"]
    (name,) = answers
    assert name == f"{run.path.name}:base"
    assert answers[name]["text"] == native(tiny, "2 + 2?", limit=4, system="Go.")


def test_an_adapter_is_switched_off_for_base(train: OneShot, oneshot: OneShot, tiny: Path) -> None:
    pytest.importorskip("peft")
    run = train(*SHORT, "--model.lora-rank", "4").run
    answers = oneshot("chat", run.path, "--once", "--json").json["problems"][0]["answers"]
    assert answers["base"]["text"] == native(tiny, "What is 2 + 3?")
    assert answers["trained"]["text"] == native(run.checkpoint_dir(2), "What is 2 + 3?")
    assert answers["base"]["text"] != answers["trained"]["text"]


def test_models_that_do_not_fit_together_take_turns(
    run: RunFolder, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("chat", run.path, "--once", "--json")
    beside = oneshot(*words).json
    monkeypatch.setattr(chat_answers.Answers, "_fits", lambda self, policy: False)
    told = oneshot(*words)
    assert told.json == beside
    assert "do not fit into memory together" in told.err


def test_a_pipe_gets_one_after_the_other(run: RunFolder, oneshot: OneShot) -> None:
    rows = oneshot("chat", run.path, "--once", "--json").json["problems"][0]["answers"]
    told = oneshot("chat", run.path, "--once")
    from oneshot.report.text import visible

    assert told.out == "".join(f"{name}:\n{visible(rows[name]['text'])}\n" for name in ("base", "trained"))
    assert "reference answer: 5" in told.err


def test_rows_texts_and_what_is_typed(
    tiny: Path, oneshot: OneShot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "1 + 1?", "answer": "2"}\n{"prompt": "1 + 2?", "answer": "3"}\n')
    words = ("--max-new-tokens", "4", "--model.threads", "1")
    found = oneshot("chat", tiny, "--problem", rows, "--once", "--json", *words).json
    assert [row["reference"] for row in found["problems"]] == ["2", "3"]
    assert found["run"] is None
    text = tmp_path / "question.txt"
    text.write_text("1 + 1?\n")
    found = oneshot("chat", tiny, "--problem", text, "--once", "--json", *words).json
    assert found["problems"][0]["question"] == "1 + 1?"
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 + 1?\n\n1 + 2?\n"))
    told = oneshot("chat", tiny, *words)
    assert told.code == 0
    assert told.err.count("tokens") == 2


def test_drawn_answers_are_drawn_again_alike(tiny: Path, oneshot: OneShot) -> None:
    words = ("chat", tiny, "--problem", "1 + 1?", "--once", "--json", "--temperature", "1", "--model.threads", "1")
    first, again, other = (oneshot(*words, "--seed", seed).out for seed in ("1", "1", "2"))
    assert first == again != other


def test_what_is_refused(run: RunFolder, oneshot: OneShot, tiny: Path) -> None:
    def said(*words: str | Path) -> str:
        told = oneshot("chat", *words)
        assert told.code == 2
        return told.err.splitlines()[0]

    assert said(tiny, "--json").startswith("E105 --json is for --once")
    assert said(tiny, "--temperature", "-1").startswith("E103 --temperature -1")
    assert said(tiny, "--temperature", "nan").startswith("E103 --temperature nan")
    assert said(tiny, "--once", "--problem", " ").startswith("E103 --problem is empty")
    assert said(tiny, "--once", "--problem", "none.jsonl").startswith("E106 there is no file none.jsonl")
    assert said(f"{run.path}:checkpoint-9").startswith("E102")
    assert said("nothing").startswith("E104")


def test_in_a_terminal_they_stand_side_by_side(run: RunFolder, tmp_path: Path) -> None:
    """Ctrl-C stops an answer, Ctrl-D ends; what a model says does not act on the terminal."""
    terminal, inner = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")}
    environment |= {"COLUMNS": "120", "LINES": "40", "TERM": "xterm", "ONESHOT_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-m", "oneshot", "chat", str(run.path), "--problem", "2 + 2?"]
    seen = b""
    with subprocess.Popen(words, stdin=inner, stdout=inner, stderr=inner, env=environment) as process:
        try:
            os.close(inner)
            seen += until(terminal, b"\n> ")
            os.write(terminal, b"3 + 3?\n")
            seen += until(terminal, b"trained")
            process.send_signal(signal.SIGINT)
            seen += until(terminal, b"> ")
            os.write(terminal, b"\x04")
            seen += until(terminal, b"")
            assert process.wait(30) == 0
        finally:
            process.kill()
            os.close(terminal)
    text = seen.decode("utf-8", "replace")
    assert any("base" in line and "trained" in line for line in text.splitlines())
    assert "Traceback" not in text


def until(terminal: int, mark: bytes) -> bytes:
    """What the program writes until it wrote `mark`; until its end where that is empty."""
    seen = b""
    while not mark or mark not in seen:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, seen
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the program has ended
            break
        if not piece:
            break
        seen += piece
    return seen


def test_json_is_one_object(tiny: Path, oneshot: OneShot) -> None:
    told = oneshot("chat", tiny, "--once", "--json", "--problem", "1?", "--max-new-tokens", "2", "--model.threads", "1")
    found: dict[str, Any] = json.loads(told.out)
    assert list(found) == ["schema", "model", "run", "problems"]


def test_a_stopped_answer_leaves_the_next_question(
    tiny: Path, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, calls = chat_answers.Answers.answer, list[str]()

    def stopped(self: chat_answers.Answers, name: str, problem: Problem, *rest: Any) -> Any:
        calls.append(problem.prompt)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return answer(self, name, problem, *rest)

    monkeypatch.setattr(chat_answers.Answers, "answer", stopped)
    monkeypatch.setattr(sys, "stdin", io.StringIO("1 + 1?\n1 + 2?\n"))
    words = ("chat", tiny, "--max-new-tokens", "2", "--model.threads", "1")
    told = oneshot(*words)
    assert (told.code, calls) == (0, ["1 + 1?", "1 + 2?"])
    assert told.err.count("(stopped)") == 1
    calls.clear()
    assert oneshot(*words, "--problem", "1 + 1?", "--once").code == 130
