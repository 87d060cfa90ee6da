"""`oneshot check`, through the command line, over real worker processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.stages.check import MAX_RESPONSE, shown

HONEST = r"""
import re

def score(completions, answer, **kwargs):
    print("noise")
    found = [re.findall(r"\\boxed\{([^{}]*)\}(?!.*</think>)", c, re.DOTALL) for c in completions]
    alone = [not re.search(r"\}(, | or )\\boxed\{[^{}]*\}\.?$", c) for c in completions]
    return [float(bool(f) and a and f[-1].strip() == g) for f, a, g in zip(found, alone, answer)]
"""
SUBSTRING = "def score(response, reference):\n    return reference in response\n"
RAISES = "def score(response, reference):\n    raise ValueError('never')\n"
FRAGILE = HONEST.replace('print("noise")', "assert completions[0], 'no text'")
HANGS = "def score(response, reference):\n    while True: pass\n"


@pytest.fixture
def reward(tmp_path: Path) -> Any:
    def write(source: str) -> str:
        (tmp_path / "reward.py").write_text(source, "utf-8")
        return f"{tmp_path / 'reward.py'}:score"

    return write


def test_an_honest_reward(reward: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = reward(HONEST)
    assert main(["check", spec, "--answer", "12.8"]) == 0
    out, err = capsys.readouterr()
    assert "accepts what it should refuse: 0" in out and "gives no score (in training this stops the run): 0" in out
    assert "refuses what it should accept: 4" in out  # \text, 12.80, 64/5, \frac{64}{5}
    assert "equal form 64/5, reference 12.8: score 0: The answer is \\boxed{64/5}." in out
    assert f"{spec} is called as TRL: score(completions, answer, **kwargs)" in err and "run with your rights" in err
    assert "noise" not in out


def test_as_json(reward: Any, capfd: pytest.CaptureFixture[str]) -> None:
    spec = reward(HONEST)
    assert main(["check", spec, "--answer", "12.8", "--json", "-q"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["schema"], told["reward"], told["convention"]) == ("oneshot.check/1", spec, "TRL")
    assert (told["references"], told["exploitable"], told["accepts_wrong"]) == (["12.8"], False, [])
    assert told["tried"] == told["probes"] > 40
    assert told["score"] == {"lowest": 0.0, "highest": 1.0, "accepted_from": 1.0}
    assert 0 < told["seconds"]["p50"] <= told["seconds"]["worst"]
    assert {row["probe"] for row in told["refuses_right"]} >= {"equal form 64/5", "text in the box"}


def test_an_exploitable_reward_is_exit_4_with_the_list(reward: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", reward(SUBSTRING)]) == 4
    out, err = capsys.readouterr()
    assert "E305" in err and "right answer mentioned, another boxed (5); " in err and "oneshot check" in err
    assert "right answer mentioned, another boxed, reference 12.8, and 4 more: score 1: It looks like 12.8, but" in out


def test_an_exploitable_reward_is_one_object_and_exit_4_with_json(
    reward: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", reward(SUBSTRING), "--answer=42", "--json"]) == 4
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert told["schema"] == "oneshot.check/1" and told["exploitable"] is True
    row = next(row for row in told["accepts_wrong"] if row["probe"] == "hedge in one box")
    assert row["reference"] == "42" and row["response"] == r"The answer is \boxed{42\text{ or }43}."
    assert (row["score"], row["status"], row["method"], row["executed"]) == (1.0, "ok", "plain", False)
    assert "E305" in err


def test_a_reward_that_raises_on_odd_input_is_told_and_no_failure(
    reward: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", reward(FRAGILE), "--answer", "12.8"]) == 0
    out = capsys.readouterr().out
    assert "empty, reference 12.8: (TRL convention) raised AssertionError: no text (line 5 of reward.py): \n" in out


def test_a_reward_that_always_raises_is_unusable(reward: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", reward(RAISES), "--answer", "12.8"]) == 4
    assert "gives no right answer a score" in (err := capsys.readouterr().err) and "ValueError: never" in err


def test_a_reward_that_hangs_is_given_up(reward: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", reward(HANGS), "--answer", "12.8", "--reward.timeout", "0.2"]) == 4
    out, err = capsys.readouterr()
    assert "3 of" in out and "did not answer within 0.2 s" in err


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (["no_such_file.py:score"], 2, "E106"),
        (["mathh"], 2, "E102"),
        (["math", "--answer", " "], 2, "E103"),
    ],
)
def test_bad_input(words: list[str], status: int, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *words]) == status
    assert code in capsys.readouterr().err


def test_a_file_without_the_function_names_the_nearest(reward: Any, capsys: pytest.CaptureFixture[str]) -> None:
    spec = reward(SUBSTRING).replace(":score", ":scores")
    assert main(["check", spec]) == 4
    assert "E305" in (err := capsys.readouterr().err) and "Did you mean 'score'?" in err


def test_the_default_grader_has_no_hole_and_accepts_every_right_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "math", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["accepts_wrong"], told["failures"], told["differs_when_asked_twice"]) == ([], [], [])
    assert told["refuses_right"] == []
    assert told["convention"] == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (r"\boxed{5}", r"\boxed{5}"),
        ("a\n\0\ud800π", r"a\n\x00\ud800\u03c0"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 77 + "..."),
        ("\0" * 30, (r"\x00" * 30)[:77] + "..."),
        ("", ""),
    ],
)
def test_a_shown_response_is_short_and_printable(text: str, told: str) -> None:
    assert shown(text) == told
    assert len(told) <= MAX_RESPONSE
