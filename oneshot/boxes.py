r"""Where `\boxed{...}` stands in a text. Used by the readers (reference solutions) and by the graders (responses)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# A row break is skipped as a whole, so that the brace in `\\{` counts; an over-escaped `\\boxed{` still opens a box.
_TOKEN = re.compile(
    r"\\(?:boxed|fbox)\s{0,9}\{"
    r"|\\(?:boxed|fbox)\s{0,9}(?P<bare>[-+]?[0-9](?:[0-9.,/]{0,98}[0-9])?(?![0-9A-Za-z])|[A-Za-z](?![A-Za-z0-9]))"
    r"|\\[{}]|\\\\(?!boxed|fbox)|[{}]"
)
_FIRST = re.compile(r"\\(?:boxed|fbox)")


@dataclass(frozen=True)
class Box:
    r"""One complete box: `text[start:end]` is `\boxed{content}`."""

    start: int
    end: int
    inside: tuple[int, int]
    """Bounds of the content."""
    text: str = field(repr=False)
    """The text it stands in; boxes in boxes would otherwise hold their content many times."""

    @property
    def content(self) -> str:
        """What the box holds."""
        return self.text[slice(*self.inside)]


def boxes(text: str) -> list[Box]:
    r"""Every complete `\boxed{...}` of `text`, ordered by where it starts; time linear in the text.

    Braces nest; `\{` and `\}` are characters, not braces. A box that is never closed is not complete, and does not
    hide a complete one inside it or before it. `\fbox{5}` and `\boxed 5` (a numeral or one letter) are boxes too.
    """
    first = _FIRST.search(text)
    if first is None:
        return []
    opened: list[tuple[int, int] | None] = []  # (start of \boxed, start of its content), or None for a plain brace
    found: list[tuple[int, int, int, int]] = []  # bounds of the box, bounds of its content
    for token in _TOKEN.finditer(text, first.start()):  # braces before the first box match nothing of it
        word = token.group()
        if word == "{":
            opened.append(None)
        elif word == "}":
            box = opened.pop() if opened else None
            if box:
                found.append((box[0], token.end(), box[1], token.start()))
        elif token["bare"]:
            found.append((token.start(), token.end(), token.start("bare"), token.end()))
        elif word.startswith(("\\boxed", "\\fbox")):
            opened.append((token.start(), token.end()))
    return [Box(start, end, (inner, outer), text) for start, end, inner, outer in sorted(found)]
