"""The words around an answer: an introduction, a scope behind it, and answers that are words themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence

from oneshot.rewards.answers.tokens import Token
from oneshot.rewards.answers.units import STOP, words_of

NEVER_IN_LABELS = (STOP - {"is", "of", "to", "by", "with", "at", "answer", "that", "when", "root"}) | frozenset(
    ["no", "never", "false", "anything", "cannot", "wrong", "except", "unless", "if", "double", "than"]
)
"""Words that make of a label something else than a name."""


def plain_words(token: Token) -> str:
    """The words of a token, in lower case; a hyphen stays, since `a-b` is not `ab`."""
    return "-" if token.text == "-" else " ".join(re.findall(r"[a-z]+|-", token.text.lower()))


_SHORT_WORDS = frozenset("yes no odd one two six ten red sun mon tue wed thu fri sat".split())


def is_text(tokens: Sequence[Token]) -> bool:
    """Words, and not the product of letters that `ab` is."""
    if len(tokens) > 1 or tokens[0].text.lower() in _SHORT_WORDS:
        return True
    token = tokens[0]
    return token.kind == "text" or len(token.text) > 3 or (len(token.text) == 3 and token.text.isupper())


def without_intro(tokens: Sequence[Token]) -> Sequence[Token]:
    r"""Without `\text{The answer is }`, `\text{Answer: }`, `\therefore` at the start."""
    while len(tokens) > 1 and (tokens[0].text in _OPENERS or _is_intro(tokens[0])):
        tokens = tokens[1:]
    for i, token in enumerate(tokens):
        scope = token.text == "forall" or words_of(token.text)[:2] == ["for", "all"]
        if i and scope and all(t.kind in ("name", "text") or t.text in _SCOPE for t in tokens[i + 1 :]):
            return tokens[:i]
    return tokens


_NAMED = frozenset(
    "the final answer total area perimeter volume sum result value length probability distance number of is so "
    "thus".split()
)
_SCOPE = frozenset(["in", "mathbb", "{", "}", "R", "Z", "N", "Q"])
_OPENERS = frozenset(["therefore", "implies", "=", "approx"])


def _is_intro(token: Token) -> bool:
    words = words_of(token.text) if token.kind == "text" else []
    if token.kind == "text" and not words:
        return not re.search("[0-9]", token.text)
    if token.text.rstrip().endswith(":"):
        return bool(words) and set(words) <= _NAMED
    return bool(words) and set(words) <= {"the", "final", "answer", "is", "so", "thus", "value", "equals", "result"}
