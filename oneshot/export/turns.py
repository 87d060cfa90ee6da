"""What a chat template writes around the turns of a conversation, found by asking it.

A template is a program. For programs that other tools cannot run, the literal text around system, user and assistant
turns is read off rendered conversations in which each turn is a marker, and then checked: putting the pieces together
again must give what the template gives, for every form of conversation in `FORMS`. What does not is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.errors import DataError

Chat = list[dict[str, str]]
_MARKS = {"system": "@#SYSTEM#@", "user": "@#USER#@", "assistant": "@#ASSISTANT#@"}
_NOT_FIXED = ("strftime_now", "date_string")
"""What templates name that write the date: their text is another one tomorrow."""

FORMS: tuple[tuple[str, ...], ...] = (
    ("user",),
    ("system", "user"),
    ("user", "assistant", "user"),
    ("system", "user", "assistant", "user"),
    ("user", "assistant", "user", "assistant", "user"),
)
"""Conversations that are rendered, by the roles of their turns."""


@dataclass(frozen=True, kw_only=True)
class Turns:
    """The literal text around each turn. A conversation is `first`, then its turns, then `answer`."""

    first: str
    """Before everything, usually nothing or a beginning-of-sequence token."""
    before: dict[str, str]
    """Role -> the text before a turn."""
    after: dict[str, str]
    """Role -> the text after it."""
    answer: str
    """After the last turn: where the model goes on."""
    system: str | None
    """The system text written where none is given; None: no system turn then."""

    def render(self, chat: Chat) -> str:
        """The prompt of a conversation."""
        if self.system is not None and chat[0]["role"] != "system":
            chat = [{"role": "system", "content": self.system}, *chat]
        return self.first + "".join(self.turn(m["role"], m["content"]) for m in chat) + self.answer

    def turn(self, role: str, text: str) -> str:
        """One turn."""
        return self.before[role] + text + self.after[role]


def rendered(tokenizer: Any, chat: Chat, *, answer: bool = True) -> str:
    """What the tokenizer's template makes of a conversation; with `answer`, up to where the model goes on.

    Raises:
        DataError: E304 the template refuses it.
    """
    from jinja2 import TemplateError

    try:
        return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=answer))
    except (TemplateError, ValueError, TypeError, KeyError, IndexError) as error:
        roles = ", ".join(m["role"] for m in chat)
        raise cannot(f"it refuses a conversation of {roles}: {error}") from error


def marked(roles: Sequence[str]) -> Chat:
    """A conversation of markers; the same role twice has two different ones."""
    return [{"role": role, "content": f"{_MARKS[role]}{place}"} for place, role in enumerate(roles)]


def turns_of(tokenizer: Any) -> Turns:
    """The pieces of a tokenizer's chat template.

    Raises:
        DataError: E304 with the reason, where there is no template or it is more than text around turns.
    """
    template = tokenizer.chat_template
    if not template:
        raise cannot("the tokenizer has none")
    if not isinstance(template, str):
        raise cannot("the tokenizer has several, by name")
    if written := [name for name in _NOT_FIXED if name in template]:
        raise cannot(f"it writes the date ({written[0]}), so its text is another one each day")
    found = _pieces(tokenizer)
    for roles in FORMS:
        chat = marked(roles)
        if found.render(chat) != rendered(tokenizer, chat):
            raise cannot(f"its text around {', '.join(roles)} is not made of fixed pieces around each turn")
    spaced = [{"role": "user", "content": "  a\n\nb  "}]
    if found.render(spaced) != rendered(tokenizer, spaced):
        raise cannot("it changes the text of a turn (it trims blanks, for one)")
    return found


def _pieces(tokenizer: Any) -> Turns:
    """The pieces, read off; whether they are right is for the caller to check."""
    long = marked(("system", "user", "assistant", "user"))
    gaps = _between(rendered(tokenizer, long), long)
    after_user = _tail(rendered(tokenizer, long[:2], answer=False), long[1])
    after_assistant = _tail(rendered(tokenizer, long[:3], answer=False), long[2])
    before_assistant = _less(gaps[2], after_user, front=True)
    before_user = _less(gaps[3], after_assistant, front=True)
    answer = _less(gaps[4], after_user, front=True)
    after_system = _less(gaps[1], before_user, front=False)
    bare = rendered(tokenizer, long[1:2])
    opening = _less(bare.partition(long[1]["content"])[0], before_user, front=False)
    first, system = _opening(opening, gaps[0], after_system)
    return Turns(
        first=first,
        before={"system": gaps[0].removeprefix(first), "user": before_user, "assistant": before_assistant},
        after={"system": after_system, "user": after_user, "assistant": after_assistant},
        answer=answer,
        system=system,
    )


def _opening(opening: str, before_system: str, after_system: str) -> tuple[str, str | None]:
    """(text before everything, default system text or None), from what stands before the first user turn alone.

    `opening` is that text without what begins a user turn: either what begins every conversation, or that with a
    system turn of the template's own.
    """
    if after_system and opening.startswith(before_system) and opening.endswith(after_system):
        inside = opening[len(before_system) : len(opening) - len(after_system)]
        return "", inside
    if before_system.startswith(opening):
        return opening, None
    raise cannot("what it writes before the first user turn is neither a system turn nor the same for every chat")


def _between(text: str, chat: Chat) -> list[str]:
    """The text before, between and after the markers."""
    gaps = []
    for message in chat:
        gap, found, text = text.partition(message["content"])
        if not found:
            raise cannot(f"the text of a {message['role']} turn does not appear as it is, or out of order")
        gaps.append(gap)
    return [*gaps, text]


def _tail(text: str, last: dict[str, str]) -> str:
    """What follows the last turn."""
    _, found, tail = text.rpartition(last["content"])
    if not found:
        raise cannot(f"the text of a {last['role']} turn does not appear as it is")
    return tail


def _less(text: str, part: str, *, front: bool) -> str:
    """`text` without `part` at its front or its end."""
    if not (text.startswith(part) if front else text.endswith(part)):
        raise cannot("the text between two turns is not the end of the one and the beginning of the other")
    return text.removeprefix(part) if front else text.removesuffix(part)


def cannot(why: str) -> DataError:
    """The error for a template of which no other template can be derived."""
    return DataError(
        f"no template for Ollama can be derived from the chat template: {why}.",
        code="E304",
        tries=("oneshot export RUN --to hf   (vLLM and transformers run the chat template itself)",),
        kept="Nothing was written.",
    )
