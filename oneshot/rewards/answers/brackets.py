"""Brackets in a list of tokens: where one closes, what stands outside all of them, and cuts at places out there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from oneshot.rewards.answers.tokens import Token, Unreadable


def closing(tokens: Sequence[Token], start: int) -> int:
    """Where the bracket opened at `start` is closed; kinds may differ, as in `[1,4)`."""
    level = 0
    for i in range(start, len(tokens)):
        level += (tokens[i].kind == "open") - (tokens[i].kind == "close")
        if level == 0:
            return i
    raise Unreadable("a bracket is not closed")


def top_level(tokens: Sequence[Token]) -> list[int]:
    """The places of the tokens outside all brackets."""
    level, places = 0, []
    for i, token in enumerate(tokens):
        level -= token.kind == "close"
        if level < 0:
            raise Unreadable("a bracket is not opened")
        if level == 0 and token.kind not in ("open", "close"):
            places.append(i)
        level += token.kind == "open"
    if level:
        raise Unreadable("a bracket is not closed")
    return places


def cut(tokens: Sequence[Token], places: Sequence[int]) -> list[Sequence[Token]]:
    """The tokens between the given places, none of them empty."""
    bounds = [-1, *places, len(tokens)]
    parts = [tokens[a + 1 : b] for a, b in pairwise(bounds)]
    if any(not part for part in parts):
        raise Unreadable("an empty side")
    return parts
