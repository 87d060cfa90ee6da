"""Reward functions of every convention, from real files, in this process."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from oneshot.errors import UsageError
from oneshot.rewards.user import adapters
from tests.unit.rewards.user.loaded import RIGHT, Load, Reward, failure

WRONG = r"It is \boxed{12.9}."


def score(reward: Reward, response: str = RIGHT, reference: str = "12.8") -> Any:
    return reward({"response": response, "reference": reference}).get("score")


HAS = "def has(answer, text): return '{' + answer + '}' in text\n"
WRITTEN = {  # convention -> the same reward, written for it in several ways
    "TRL": [
        "def f(completions, answer, **kwargs): return [float(has(a, c)) for c, a in zip(completions, answer)]",
        "def f(prompts, completions, solution): return [has(solution[0], completions[0]) for _ in prompts]",
        "def f(completions, **kwargs): return [has(kwargs['ground_truth'][0], completions[0])]",
        "async def f(completions, gold, trainer_state=None): return (has(gold[0], completions[0]),)",
        """
        def f(completions, answer, log_extra, log_metric, completion_ids):
            log_extra("answer", answer)
            log_metric("mean", 1.0)
            return [has(answer[0], completions[0])]
        """,
    ],
    "verl": [
        "def f(data_source, solution_str, ground_truth, extra_info=None): return has(ground_truth, solution_str)",
        "def f(solution_str, ground_truth, method='strict'): return 1 if has(ground_truth, solution_str) else 0",
        "def f(solution_str, **kwargs): return {'score': float(has(kwargs['ground_truth'], solution_str))}",
    ],
    "reasoning-gym": [
        "def f(answer, entry): return float(answer == entry['answer'])",
        """
        class Data:
            def score_answer(self, answer, entry): return answer == entry["answer"]
        f = Data().score_answer
        """,
    ],
    "verifiers-v0": [
        "def f(completion, answer): return float(has(answer, completion[-1]['content']))",
        "async def f(completion, answer, **kwargs): return float(has(answer, completion[-1]['content']))",
        "def f(completion: str, answer): return has(answer, completion)",
        "def f(parser, completion, answer, state, info, task): return has(answer, parser.parse_answer(completion))",
        "def f(state): return has(state['answer'], state['completion'][-1]['content'])",
    ],
    "plain": [
        "def f(response, reference): return has(reference, response)",
        "def f(response, gold, /): return has(gold, response)",
        "f = lambda response, answer: 1.0 * has(answer, response)",
        """
        import functools
        def weighted(weight, response, answer): return has(answer, response) * weight
        f = functools.partial(weighted, 1)
        """,
    ],
}


@pytest.mark.parametrize(
    ("convention", "source"), [(name, source) for name, sources in WRITTEN.items() for source in sources]
)
def test_every_convention_is_recognised_and_called(convention: str, source: str, load: Load) -> None:
    reward = load(HAS + dedent(source))
    assert reward({"describe": True})["convention"] == convention
    assert score(reward) == 1.0
    assert score(reward, WRONG) == 0.0


def test_the_signature_is_told(load: Load) -> None:
    told = load("def f(response, reference): return 1")({"describe": True})
    assert told == {"convention": "plain", "signature": "f(response, reference)"}


@pytest.mark.parametrize(
    ("source", "convention"),
    [
        ("def f(response, reference, state=None): return 1", "plain"),  # verifiers lacks `response`
        ("def f(completion, solution_str): return 1", ""),  # each lacks what the other has
        ("def f(solution_str, ground_truth, completions=None): return 1", "verl"),
        ("def f(completions, response=None, **kwargs): return [1]", "TRL"),
    ],
)
def test_where_several_fit_required_arguments_decide(source: str, convention: str, load: Load) -> None:
    assert load(source)({"describe": True}).get("convention", "") == convention


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        (r"\boxed{1} then \boxed{2}", "2"),
        ("<answer> 3 </answer><answer>4</answer>", "4"),
        (r"<answer>3</answer> \boxed{5}", "5"),
        ("it is 6", None),
        ("<answer>" * 20_000, None),
    ],
)
def test_reasoning_gym_gets_the_answer_and_not_the_response(response: str, answer: str | None, load: Load) -> None:
    reward = load("def f(answer, entry): return float(answer is not None)")
    assert reward({"response": response, "reference": "1"}) == {"score": float(answer is not None), "extracted": answer}


def test_a_dict_may_say_what_was_extracted(load: Load) -> None:
    job = {"response": "x", "reference": "y"}
    verl = "def f(solution_str, ground_truth): return {'score': 0.5, 'pred': %s}"
    assert load(verl % "solution_str")(job) == {"score": 0.5, "extracted": "x"}
    assert load(verl % "7")(job) == {"score": 0.5, "extracted": None}


def test_what_is_not_known_is_none_so_that_its_use_fails(load: Load) -> None:
    source = "def f(completions, {0}): return [len({0})]"
    for name in ("completion_ids", "trainer_state"):
        assert "TypeError" in failure(load(source.format(name)))
    assert "AttributeError" in failure(load("def f(prompts, completions): return [len(prompts[0].split())]"))
    assert "KeyError" in failure(load("def f(completion, info): return info['difficulty']"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("True", 1.0),
        ("-0.25", -0.25),
        ("numpy.float32(0.5)", 0.5),
        ("numpy.bool_(True)", 1.0),
        ("numpy.array(2)", 2.0),
        ("fractions.Fraction(1, 4)", 0.25),
    ],
)
def test_numbers_of_many_types(value: str, expected: float, load: Load) -> None:
    assert score(load(f"import numpy, fractions\ndef f(response, reference): return {value}")) == expected
    assert score(load(f"import numpy, fractions\ndef f(completions): return [{value}]")) == expected


def test_a_batch_may_be_an_array(load: Load) -> None:
    assert score(load("import numpy\ndef f(completions): return numpy.ones(1)")) == 1.0


def test_a_file_may_import_its_neighbour_but_hides_nothing(load: Load, tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_reward.py").write_text("VALUE = 0.5", "utf-8")
    (tmp_path / "json.py").write_text("raise RuntimeError('the wrong json')", "utf-8")
    source = "import json, neighbour_of_reward as n\ndef f(response): return json.loads(str(n.VALUE))"
    assert score(load(source)) == 0.5


def test_dataclasses_in_the_file_work(load: Load) -> None:
    source = """
    from __future__ import annotations
    from dataclasses import dataclass

    @dataclass
    class Result:
        value: float

    def f(response: str, reference: str): return Result(1.0).value
    """
    assert score(load(source)) == 1.0


def test_responses_of_every_kind_reach_the_function_unchanged(load: Load) -> None:
    reward = load("def f(response, reference): return response == reference")
    for text in ("", "\0", "\ud800", "\u202e12.8", "x" * 100_000):
        assert score(reward, text, text) == 1.0


@pytest.mark.parametrize("spec", ["reward.py", "reward.py:", "reward:f", ":f", "", "reward.py:f()", "reward.txt:f"])
def test_what_names_no_function_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match=r"FILE.py:FUNCTION") as caught:
        adapters.split(spec)
    assert caught.value.code == "E103"


def test_a_spec_is_split_at_the_last_colon() -> None:
    assert adapters.split(r"C:\rewards\my.py:data.score") == (Path(r"C:\rewards\my.py"), "data.score")


def test_the_functions_of_the_page_on_rewards_do_what_it_says(load: Load, root: Path) -> None:
    page = (root / "docs/rewards.md").read_text("utf-8")
    source = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    shown = {
        "score": "plain",
        "rewards": "TRL",
        "compute_score": "verl",
        "correct": "verifiers-v0",
        "score_answer": "reasoning-gym",
    }
    for name, convention in shown.items():
        reward = load(source, name)
        assert reward({"describe": True})["convention"] == convention
        assert score(reward, "We add <answer>12.8</answer>\nAnswer: 12.8\n") == 1.0
        assert score(reward, "We add <answer>112.8</answer>\nAnswer: 112.8\n") == 0.0
