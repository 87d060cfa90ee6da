"""Problem to prompt tokens, through the model's own chat template."""

from __future__ import annotations

from typing import Any

from oneshot.data.problems import has_suffix
from oneshot.errors import DataError
from oneshot.types import Problem


def messages(problem: Problem, *, suffix: str = "", system: str = "") -> list[dict[str, str]]:
    """Chat messages of one problem: an optional system text, then the question and one space and the suffix.

    A suffix the question already ends with is not added twice (the paper's pool carries it in its rows).
    """
    text = problem.prompt
    if suffix and not has_suffix(text, suffix):
        text = f"{text} {suffix}"
    user = {"role": "user", "content": text}
    return [{"role": "system", "content": system}, user] if system else [user]


def render(tokenizer: Any, problem: Problem, *, suffix: str = "", system: str = "", limit: int = 0) -> tuple[int, ...]:
    """The exact prompt tokens of a problem, generation prompt included; a tokenizer without a template gets the text.

    Raises:
        DataError: E301 when the prompt is longer than `limit` tokens (0: no limit).
    """
    chat = messages(problem, suffix=suffix, system=system)
    if tokenizer.chat_template:
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    else:
        text = "\n\n".join(m["content"] for m in chat) + "\n"
    tokens = tuple(int(t) for t in tokenizer(text, add_special_tokens=not tokenizer.chat_template)["input_ids"])
    if limit and len(tokens) > limit:
        raise DataError(
            f"the prompt of {problem.id!r} has {len(tokens)} tokens, the limit is {limit}.",
            tries=(f"--rollout.max-prompt-tokens {len(tokens)}",),
        )
    return tokens
