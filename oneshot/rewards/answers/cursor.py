"""A place in a list of tokens and the steps a parser takes from there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from oneshot.rewards.answers.tokens import Token, Unreadable

MAX_DEPTH = 60


class Cursor:
    """Where a parser stands."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        """`tokens` are read from the first on; short words are read as their letters."""
        self.tokens: Sequence[Token] = _letters(tokens)
        self.place = 0
        self._depth = 0

    def peek(self, ahead: int = 0) -> Token | None:
        """The token `ahead` of this place; None behind the last."""
        place = self.place + ahead
        return self.tokens[place] if place < len(self.tokens) else None

    def at(self, *texts: str) -> bool:
        """Whether an operator or bracket of this text stands here."""
        token = self.peek()
        return token is not None and token.kind in ("op", "open", "close") and token.text in texts

    def at_number(self) -> bool:
        """Whether a number stands here."""
        token = self.peek()
        return token is not None and token.kind == "number"

    def take(self) -> Token:
        """The token here, and one step on. Raises `Unreadable` behind the last."""
        token = self.peek()
        if token is None:
            raise Unreadable("ends too early")
        self.place += 1
        return token

    def expect(self, text: str) -> None:
        """A step over an operator or bracket that must stand here."""
        if not self.at(text):
            raise Unreadable(f"no {text}")
        self.place += 1

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level of nesting; every cycle of the grammar goes through here, so that no text exhausts the stack."""
        before = self._depth
        self.nest()
        yield
        self._depth = before

    def nest(self) -> None:
        """Count one more node around what was read at this level; the level's end takes the count back."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("nested too deep")

    def index(self) -> str:
        """What follows `_`, as text: one token or a group."""
        if self.at("_"):
            self.take()
        token = self.take()
        if token.text != "{":
            return token.text
        parts: list[str] = []
        level = 1
        while True:
            token = self.take()
            level += (token.text == "{") - (token.text == "}")
            if level == 0:
                return " ".join(parts)
            parts.append(token.text.strip())


def _letters(tokens: Sequence[Token]) -> list[Token]:
    """Short words as the letters whose product they are: `ab`, `RC`, `xyz`."""
    out: list[Token] = []
    slash = {i for i, token in enumerate(tokens) if token.text == "/"}
    for place, token in enumerate(tokens):
        if token.kind == "word" and len(token.text) == 2 and token.text[0] == "d" and {place - 1, place + 1} & slash:
            if place - 1 in slash and out[-1].text == "/" and len(out) > 1 and out[-2].text[0] == "d":
                out[-2:] = [out[-2]._replace(text=f"{out[-2].text}/{token.text}")]  # dy/dx
            else:
                out.append(token._replace(kind="name"))
            continue
        if token.kind == "word" and token.text != "np" and (len(token.text) <= 3 or token.text.isupper()):
            out += [Token("name", letter, spaced=token.spaced and not i) for i, letter in enumerate(token.text)]
        else:
            out.append(token)
    return out
