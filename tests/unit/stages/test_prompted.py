"""A task through another prompt: its tokens, its length, and what the graders read of a text that runs on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from oneshot.data.prompt_list import Prompt, Worked, prompt_list, prompt_tokens
from oneshot.data.tasks.task import Protocol
from oneshot.errors import UsageError
from oneshot.rewards.functions import build_verifier
from oneshot.rewards.lenient import stated_answer
from oneshot.stages import graders
from oneshot.stages.evals.prompted import ReadToRunOn, before_run_on, in_prompt
from oneshot.types import Verdict
from tests.unit.stages.prompting import asked_of, setup_of

PLAIN, CHAT = (next(p for p in prompt_list(suffix="", system="") if p.name == name) for name in ("plain", "chat"))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (" It is 5.\n\nProblem:\nWhat is 9 + 9?\n\nSolution: 18", " It is 5."),
        ("5\nQuestion 2: and 6 + 6?\n12", "5"),
        ("5\n\n**Problem 3:** and 6 + 6?", "5"),
        ("The Problem: is hard. So 5.", "The Problem: is hard. So 5."),  # not at the beginning of a line
        ("\n\nProblem: I see. 5", "\n\nProblem: I see. 5"),  # nothing came before: kept whole
        ("<think>\nhm\nProblem: x</think> 5", "<think>\nhm\nProblem: x</think> 5"),  # thoughts are no answer
        ("<think>hm</think> 5\nProblem: y", "<think>hm</think> 5"),
        ("", ""),
    ],
)
def test_where_a_response_runs_on(text: str, kept: str) -> None:
    assert before_run_on(text) == kept


@pytest.mark.parametrize("mark", ["Problem", "Question", "Human", "User", "Exercise", "Q", "Question 12", "## Problem"])
def test_the_rule_is_that_of_the_lenient_grader(mark: str) -> None:
    text = f"The answer is 5.\n\n{mark}: and then?\nThe answer is 9."
    assert before_run_on(text) == "The answer is 5."
    assert stated_answer(text) == stated_answer(before_run_on(text)) == ("5", "stated")


def test_a_grader_that_reads_up_to_there_is_the_grader_in_all_else() -> None:
    text = "\\boxed{5}\n\nProblem:\nWhat is 9 + 9?\n\nSolution: \\boxed{18}"
    strict = build_verifier("math")
    assert strict(text, "18").correct
    read = ReadToRunOn(strict)
    assert (read(text, "5").correct, read(text, "18").correct) == (True, False)
    assert graders.described(read) == {"grader": "math"}
    assert graders.unmatchable(read, asked_of().problems).refused == ()


def test_a_users_function_stays_one() -> None:
    class Own:
        name, convention, fatal = "own.py:score", "trl", True

        def __call__(self, response: str, reference: str) -> Verdict:
            return Verdict(correct=response == reference, extracted=None, method="user")

    read = ReadToRunOn(Own())
    assert graders.is_users(read)
    assert graders.convention(read) == "trl"
    with pytest.raises(AttributeError):
        read.states  # noqa: B018


def test_the_task_through_a_chat_prompt(tmp_path: Path) -> None:
    setup, asked = setup_of(tmp_path), replace(asked_of(), forced=True)
    made = in_prompt(setup, asked, CHAT, "prompt-chat", {"prompt_choice": {"chosen": "chat"}})
    assert made.under("base") == "base+prompt-chat"
    assert made.render is not None
    tokenizer = setup.policy.tokenizer
    assert tokenizer.decode(list(made.render(asked.problems[1]))) == "<|user|>What is 1 + 1?<|end|><|assistant|>"
    assert (made.name, made.protocol, made.problems) == (asked.name, asked.protocol, asked.problems)
    assert (made.verify, made.strict, made.lenient, made.forced) == (asked.verify, asked.strict, asked.lenient, True)
    assert made.data == {**asked.data, "prompt_choice": {"chosen": "chat"}}
    assert "prompt_choice" not in asked.data


@pytest.mark.parametrize("template", [True, False])
def test_the_answers_to_a_text_are_read_up_to_the_next_problem(tmp_path: Path, template: bool) -> None:
    setup, asked = setup_of(tmp_path), replace(asked_of(), forced=True)
    if not template:
        setup.policy.tokenizer.chat_template = None
    made = in_prompt(setup, asked, PLAIN if template else CHAT, "x", {})
    assert made.render is not None
    assert setup.policy.tokenizer.decode(list(made.render(asked.problems[1]))) == "What is 1 + 1?\n"
    text = "\\boxed{2}\n\nProblem: and\\boxed{3}"
    for read, plain in ((made.verify, asked.verify), (made.strict, asked.strict)):
        assert (read(text, "2").correct, plain(text, "2").correct) == (True, False)
    assert made.lenient(text, "2").correct
    assert made.forced is False  # a box would be forced behind another problem's answer


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers(tmp_path: Path) -> None:
    setup = setup_of(tmp_path)  # 512 positions
    shots = (Worked(question="?" * 40, solution="!" * 400),)
    prompt = Prompt(name="icl", chat=True, shots=shots)
    asked = asked_of()
    length = len(prompt_tokens(setup.policy.tokenizer, prompt, asked.problems[0]))
    assert length == 40 + 400 + len("What is 0 + 1?") + 7  # and seven special tokens
    room = 512 - length
    assert in_prompt(setup, replace(asked, protocol=Protocol(max_new_tokens=room)), prompt, "icl", {}).variant == "icl"
    with pytest.raises(UsageError) as caught:
        in_prompt(setup, replace(asked, protocol=Protocol(max_new_tokens=room + 1)), prompt, "icl", {})
    assert caught.value.code == "E105"
    assert (
        f"of 'q0' with 1 worked example has {length} tokens; with {room + 1} for the response" in caught.value.message
    )
    assert "made for 512 positions" in caught.value.message
    assert caught.value.tries == (f"--evals.max-new-tokens {room}",)


def test_a_prompt_longer_than_the_model_has_no_limit_that_would_do(tmp_path: Path) -> None:
    prompt = Prompt(name="icl", chat=True, shots=(Worked(question="?", solution="!" * 600),) * 2)
    with pytest.raises(UsageError, match="with 2 worked examples") as caught:
        in_prompt(setup_of(tmp_path), asked_of(), prompt, "icl", {})
    assert caught.value.tries == ("--model another-model   (one made for more positions)",)
