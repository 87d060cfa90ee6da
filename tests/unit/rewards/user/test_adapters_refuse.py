"""Reward functions that cannot be used, and returns that are no reward: each is refused with a reason."""

from __future__ import annotations

import pytest

from oneshot.rewards.user.conventions import CONVENTIONS
from tests.unit.rewards.user.loaded import Load, failure


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("float('nan')", "returned nan"),
        ("float('-inf')", "returned -inf"),
        ("10 ** 400", "too large"),
        ("'1'", "returned '1' (str), not a number"),
        ("None", "returned None (NoneType), not a number"),
        ("[1.0]", "returned [1.0] (list), not a number"),
        ("{'reward': 1}", "without \"score\": {'reward': 1} (dict)"),
        ("{'score': 'high'}", "returned 'high' (str), not a number"),
        ("1j", "returned 1j (complex), not a number"),
        ("'\\ud800\\n' * 900", r"'\ud800\n\ud800"),
    ],
)
def test_what_is_no_reward_is_refused_with_a_reason(value: str, reason: str, load: Load) -> None:
    told = failure(load(f"def f(response, reference): return {value}"))
    assert reason in told
    assert len(told) < 300 and told.isprintable()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1.0", "returned 1.0 (float), not a list of rewards"),
        ("[]", "returned 0 rewards for 1 completion"),
        ("[1.0, 1.0]", "returned 2 rewards for 1 completion"),
        ("[None]", "does not apply"),
        ("[float('nan')]", "returned nan"),
        ("['1']", "returned '1' (str), not a number"),
        ("{'score': 1}", "not a list of rewards"),
    ],
)
def test_what_is_no_list_of_one_reward_is_refused(value: str, reason: str, load: Load) -> None:
    assert reason in failure(load(f"def f(completions): return {value}"))


def test_what_it_raises_is_told_with_type_text_and_line(load: Load) -> None:
    source = """
    import json

    def helper(text):
        return json.loads(text)

    def f(response, reference):
        if "sys" in response:
            raise SystemExit(3)
        return helper(response)
    """
    told = failure(load(source))
    assert told.startswith("raised JSONDecodeError: Expecting value") and told.endswith("(line 5 of reward.py)")
    assert failure(load(source), "sys") == "raised SystemExit: 3 (line 9 of reward.py)"


def test_an_exception_in_an_awaited_function_too(load: Load) -> None:
    source = "import asyncio\nasync def f(completions):\n    await asyncio.sleep(0)\n    raise ValueError('no')"
    assert failure(load(source)) == "raised ValueError: no (line 4 of reward.py)"


@pytest.mark.parametrize(
    ("source", "name", "reason"),
    [
        ("def score(response): return 1", "scor", "no function 'scor'. Did you mean 'score'? It has: score."),
        ("x = 1", "f", "no function 'f'. It has no function."),
        ("f = 1", "f", "f is 1 (int), not a function"),
        ("class f:\n    def __init__(self, response): ...", "f", "(type), not a function"),
        ("import no_such_module_here", "f", "importing the file raised ModuleNotFoundError: No module named"),
        ("\n\n1 / 0", "f", "importing the file raised ZeroDivisionError: division by zero (line 3 of reward.py)"),
        ("x = 1\ndef f(:", "f", "importing the file raised SyntaxError: invalid syntax (line 2 of reward.py)"),
        ("import sys; sys.exit()", "f", "importing the file raised SystemExit"),
        ("def f(guess, truth): return 1", "f", "(guess, truth) fit no convention"),
        ("def f(*args): return 1", "f", "fit no convention"),
        ("def f(completions, difficulty): return [1]", "f", "the TRL convention but asks for 'difficulty'"),
    ],
)
def test_what_cannot_be_loaded_says_why(source: str, name: str, reason: str, load: Load) -> None:
    reward = load(source, name)
    assert reason in reward({"describe": True})["failure"]
    assert reason in reward({"response": "", "reference": ""})["failure"]


def test_a_function_that_fits_nothing_is_shown_every_convention(load: Load) -> None:
    told = load("def f(x, y): return 1")({"describe": True})["failure"]
    assert all(f"\n  {c.name}: {c.signature}" in told for c in CONVENTIONS)
