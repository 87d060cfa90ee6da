"""What is marked inside a response: reflection words, and the answer where two models differ. Safe HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markupsafe import Markup

from oneshot.measure.reflection import pattern
from oneshot.report.text import escaped, left_out

Span = tuple[int, int, str]
"""Start, end and CSS class."""


def marked(text: str, limit: int, *, reflection: Sequence[str] = (), answer: str = "", total: int = 0) -> Markup:
    """At most `limit` characters of an untrusted text, escaped, with its reflection words and its answer marked.

    `answer` is marked where it stands last; `total` is the text's whole length where `text` is only its beginning.
    """
    shown = text[:limit]
    spans: list[Span] = []
    for word in reflection:
        found_here = [(m.start(), m.end(), "reflect") for m in pattern(word).finditer(shown)]
        spans += [s for s in found_here if all(s[1] <= o[0] or s[0] >= o[1] for o in spans)]
    found = _last(shown, answer) if answer else None
    if found:
        spans = [span for span in spans if span[1] <= found[0] or span[0] >= found[1]] + [(*found, "differs")]
    out, end = Markup(), 0
    for start, stop, css in sorted(spans):
        out += escaped(shown[end:start]) + Markup('<mark class="{}">').format(css)
        out += escaped(shown[start:stop]) + Markup("</mark>")
        end = stop
    return out + escaped(shown[end:]) + left_out(max(total, len(text)) - limit)


def _last(text: str, answer: str) -> tuple[int, int] | None:
    """Where the answer stands last, as a whole: 12 is not found in 312 or in 12.5."""
    left = r"(?<![\w.])" if re.match(r"\w", answer) else ""
    right = r"(?![\w]|\.\d)" if re.search(r"\w$", answer) else ""
    found = [m.span() for m in re.finditer(left + re.escape(answer) + right, text)]
    return found[-1] if found else None
