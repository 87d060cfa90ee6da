"""The fixed list of prompts: exact texts, and the four worked examples worked again."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from typing import Any

import pytest

from oneshot.boxes import boxes
from oneshot.data.prompt_list import FOUR, SYSTEM, Prompt, Worked, prompt_list, prompt_text, prompt_tokens
from oneshot.data.prompts import render
from oneshot.rewards.functions import build_verifier
from oneshot.types import Problem
from tests.tiny import tokenizer

ASKED = Problem(id="sum", prompt="What is 2 + 3?", answer="5")
SHOTS = (Worked(question="What is 1 + 1? Box it.", solution="It is 2."), Worked(question="And 2 + 2?", solution=" 4\n"))


def listed(name: str, *, suffix: str = "Box it.", system: str = "Be brief.") -> Prompt:
    return next(prompt for prompt in prompt_list(suffix=suffix, system=system) if prompt.name == name)


def bare() -> Any:
    made = tokenizer()
    made.chat_template = None
    return made


def test_the_names_and_their_order() -> None:
    names = [prompt.name for prompt in prompt_list(suffix="", system="")]
    assert names == ["chat", "plain", "training", "boxed", "four-shot"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chat", "<|user|>What is 2 + 3?<|end|><|assistant|>"),
        ("plain", "What is 2 + 3?\n"),
        ("training", "<|system|>Be brief.<|end|><|user|>What is 2 + 3? Box it.<|end|><|assistant|>"),
        ("boxed", f"<|system|>{SYSTEM}<|end|><|user|>What is 2 + 3?<|end|><|assistant|>"),
    ],
)
def test_the_texts_with_a_chat_template(name: str, text: str) -> None:
    made = tokenizer()
    assert prompt_text(made, listed(name), ASKED) == (text, name != "plain")
    assert made.decode(list(prompt_tokens(made, listed(name), ASKED))) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("chat", "What is 2 + 3?\n"),
        ("plain", "What is 2 + 3?\n"),
        ("training", "Be brief.\n\nWhat is 2 + 3? Box it.\n"),
        ("boxed", f"{SYSTEM}\n\nWhat is 2 + 3?\n"),
    ],
)
def test_the_texts_without_one(name: str, text: str) -> None:
    assert prompt_text(bare(), listed(name), ASKED) == (text, False)


@pytest.mark.parametrize("name", ["chat", "training", "boxed"])
@pytest.mark.parametrize("make", [tokenizer, bare])
def test_without_examples_it_is_what_a_run_renders(name: str, make: Any) -> None:
    prompt = listed(name)
    assert prompt_tokens(make(), prompt, ASKED) == render(make(), ASKED, suffix=prompt.suffix, system=prompt.system)


def test_a_text_gets_the_tokenizers_own_beginning_and_a_chat_only_the_templates() -> None:
    """Some tokenizers put a token before every text; a template writes its own."""

    class Beginning:
        chat_template = "yes"

        def apply_chat_template(self, chat: list[dict[str, str]], **rest: object) -> str:
            return chat[-1]["content"]

        def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
            return {"input_ids": [99] * add_special_tokens + [len(text)]}

    assert prompt_tokens(Beginning(), listed("plain"), ASKED) == (99, 15)
    assert prompt_tokens(Beginning(), listed("chat"), ASKED) == (14,)


def test_worked_examples_as_turns_of_a_chat() -> None:
    prompt = Prompt(name="icl", chat=True, suffix="Now.", system="Be brief.", shots=SHOTS)
    assert prompt_text(tokenizer(), prompt, ASKED)[0] == (
        "<|system|>Be brief.<|end|><|user|>What is 1 + 1? Box it.<|end|><|assistant|>It is 2.<|end|>"
        "<|user|>And 2 + 2?<|end|><|assistant|> 4\n<|end|><|user|>What is 2 + 3? Now.<|end|><|assistant|>"
    )


@pytest.mark.parametrize("chat", [True, False])
def test_worked_examples_in_a_text(chat: bool) -> None:
    prompt = Prompt(name="icl", chat=chat, suffix="Now.", system="Be brief.", shots=SHOTS)
    assert prompt_text(bare(), prompt, ASKED) == (
        "Be brief.\n\nProblem:\nWhat is 1 + 1? Box it.\n\nSolution: It is 2.\n\nProblem:\nAnd 2 + 2?\n\nSolution: 4\n\n"
        "Problem:\nWhat is 2 + 3? Now.\n\nSolution:",
        False,
    )


def test_four_shot_is_four_worked_problems_and_then_the_question() -> None:
    text, templated = prompt_text(tokenizer(), listed("four-shot"), ASKED)
    assert not templated
    assert text.count("Problem:\n") == text.count("\n\nSolution:") == 5
    assert (
        text.count("\nFinal Answer: The final answer is $") == text.count("$. I hope it is correct.\n\nProblem:\n") == 4
    )
    assert text.startswith("Problem:\nA bakery")
    assert text.endswith("I hope it is correct.\n\nProblem:\nWhat is 2 + 3?\n\nSolution:")


def test_the_answers_of_the_four_are_right() -> None:
    (tens,) = [t for t in range(18) if 10 * t + 6 * (17 - t) == 134]
    drawn = list(itertools.permutations("rrrrbbbbb", 2))
    mixed = Fraction(sum(a != b for a, b in drawn), len(drawn))
    shown = 1
    for _ in range(50):
        shown = shown * 7 % 15
    root = 3 + math.sqrt(5)
    assert (6 - root) * root == pytest.approx(4)
    assert 0 < 6 - root < root < 6
    answers = [str(tens), rf"\frac{{{mixed.numerator}}}{{{mixed.denominator}}}", str(shown), r"3 + \sqrt{5}"]
    assert [boxes(shot.solution)[-1].content for shot in FOUR] == answers
    for shot, answer in zip(FOUR, answers, strict=True):
        assert shot.solution.endswith(f"Final Answer: The final answer is ${answer}$. I hope it is correct.")
        for grader in ("math", "math-lenient", "paper-eval"):
            assert build_verifier(grader)(shot.solution, answer).correct


def test_what_is_recorded_of_a_prompt_can_be_written() -> None:
    told = listed("four-shot").as_dict()
    assert json.loads(json.dumps(told)) == {"name": "four-shot", "chat": False, "suffix": "", "system": "", "shots": 4}
