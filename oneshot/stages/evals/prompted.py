"""A task asked through another prompt, and the graders' part in it: a text runs on, a chat turn ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from oneshot.data.prompt_list import Prompt, prompt_tokens
from oneshot.errors import UsageError
from oneshot.rewards.lenient import run_on_at
from oneshot.stages.evals.asked import Asked
from oneshot.types import Problem, Verdict, Verifier

if TYPE_CHECKING:
    from oneshot.stages.setup import Setup

_THOUGHT = "</think>"
READ_TO_RUN_ON = "read_to_run_on"
"""Key of `protocol.data` that says responses were graded up to where they run on."""


def before_run_on(text: str) -> str:
    """A response up to the line where it runs on into a new problem, any thoughts passed over; else all of it.

    What comes after is the model's answer to a problem of its own making. A response that only runs on stays whole.
    """
    start = text.rfind(_THOUGHT) + len(_THOUGHT) if _THOUGHT in text else 0
    return text[: run_on_at(text, start)]


class ReadToRunOn:
    """A grader that reads a response up to where it runs on. Name and all else are the grader's own."""

    def __init__(self, grader: Verifier) -> None:
        """Around any grader."""
        self.grader = grader
        self.name = grader.name

    def __call__(self, response: str, reference: str) -> Verdict:
        """The grader's verdict on the first answer."""
        return self.grader(before_run_on(response), reference)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the grader says about itself: its convention, whether a failure of it ends the work, ..."""
        return getattr(self.grader, name)


def in_prompt(setup: Setup, asked: Asked, prompt: Prompt, variant: str, record: Mapping[str, Any]) -> Asked:
    """The task through another prompt. Its protocol stays the task's, so that it is comparable; `record` says the rest.

    A prompt that is a plain text is no turn of a chat, and a base model goes on with a problem of its own making: the
    graders read its responses up to there, and no box is forced behind it.

    Raises:
        UsageError: E105 a prompt that with the response limit is longer than the model's positions.
    """
    for problem in asked.problems:
        tokens = prompt_tokens(setup.policy.tokenizer, prompt, problem)
        check_fits(setup, asked, prompt, problem, len(tokens))
    templated = prompt.chat and bool(setup.policy.tokenizer.chat_template)
    changed = replace(
        asked,
        render=partial(prompt_tokens, setup.policy.tokenizer, prompt),
        variant=variant,
        data={**asked.data, **record},
    )
    if templated:
        return changed
    return replace(
        changed,
        data={**changed.data, READ_TO_RUN_ON: True},
        verify=ReadToRunOn(asked.verify),
        strict=ReadToRunOn(asked.strict),
        lenient=ReadToRunOn(asked.lenient),
        forced=False,
    )


def check_fits(setup: Setup, asked: Asked, prompt: Prompt, problem: Problem, tokens: int) -> None:
    """Refuse a prompt that leaves no room for the response.

    Raises:
        UsageError: E105 with the numbers and the largest response limit that fits.
    """
    context, limit = positions(setup), asked.protocol.max_new_tokens
    if not context or tokens + limit <= context:
        return
    with_shots = f" with {len(prompt.shots)} worked example{'s' * (len(prompt.shots) > 1)}" if prompt.shots else ""
    room = context - tokens
    other = "--model another-model   (one made for more positions)"
    raise UsageError(
        f"the prompt {prompt.name!r} of {problem.id!r}{with_shots} has {tokens} tokens; with {limit} for the response "
        f"that is {tokens + limit}, but {setup.config.model.name} was made for {context} positions.",
        code="E105",
        tries=(f"--evals.max-new-tokens {room}" if room > 0 else other,),
        kept="Nothing was measured with it.",
    )


def positions(setup: Setup) -> int:
    """The positions that the model was made for; 0 where it does not say."""
    return int(getattr(setup.policy.model.config, "max_position_embeddings", None) or 0)
