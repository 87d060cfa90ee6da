r"""Self-reflection: how often responses use words such as "recheck". Words alone; nobody looks at what they do there.

The paper counts the responses that hold "rethink", "recheck" or "recalculate", and says nothing about case and endings.
Departure, for that reason: a word counts in upper and lower case, with the endings of its verb (-s, -ed, -ing, -ion;
of a word in -e without the e), and with a hyphen behind "re" (re-check). It must not stand inside a longer word.
"Rethought" is another word: add it. A response counts once however many of the words it has (a union, not a sum).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from oneshot.measure.decompose import share
from oneshot.types import EvalRow

REFLECTION = ("rethink", "recheck", "recalculate")
"""The paper's words."""
DEFINITION = (
    "A response counts that has one of the words, in upper or lower case, with the endings -s, -ed, -ing or -ion, and "
    "with or without a hyphen behind re-. Occurrences are counted each for the number per 1,000 tokens."
)
_HYPHEN = r"[-\u2010\u2011]?"


class Seen(NamedTuple):
    """What a text holds of a list of words."""

    counts: tuple[int, ...]
    """Occurrences of each word."""

    @property
    def any(self) -> bool:
        """Whether it holds one of them."""
        return any(self.counts)


def cleaned(words: Sequence[str]) -> tuple[str, ...]:
    """The words in lower case, each once, without empty ones and outer spaces."""
    return tuple(dict.fromkeys(word.strip().lower() for word in words if word.strip()))


@lru_cache(maxsize=256)
def pattern(word: str) -> re.Pattern[str]:
    """What counts as an occurrence of a word or phrase.

    Words with letters beyond ASCII take no endings, and may stand inside a longer run of letters: many scripts put no
    spaces between words.
    """
    text = r"\s+".join(re.escape(part) for part in word.lower().split())
    if not word.isascii():
        return re.compile(text, re.IGNORECASE)
    if text.startswith("re") and len(text) > 2 and text[2].isalpha():
        text = f"re{_HYPHEN}{text[2:]}"
    if text.endswith("e"):
        text = f"{text[:-1]}(?:es?|ed|ing|ions?)"
    elif text[-1].isalpha():
        text = f"{text}(?:e?s|ed|ing|ions?)?"
    return re.compile(rf"(?<!\w){text}(?!\w)", re.IGNORECASE)


def count(text: str, words: Sequence[str]) -> Seen:
    """Occurrences of each word in a text."""
    return Seen(tuple(len(pattern(word).findall(text)) for word in words))


def of_rows(rows: Sequence[EvalRow], words: Sequence[str]) -> dict[str, Any]:
    """Self-reflection in the responses of one evaluation.

    `share` of the responses, each problem weighing the same, with its interval over problems: 0 of n has an upper
    limit. `responses` and `with_words` are plain counts; `per_1000_tokens` is all occurrences over all tokens;
    `by_word` has, for each word, the responses that hold it and its occurrences.
    """
    seen = {(row.id, row.sample): count(row.response, words) for row in rows}
    found = share(rows, lambda row: seen[row.id, row.sample].any)
    tokens = sum(row.tokens for row in rows)
    return {
        "responses": len(rows),
        "with_words": sum(each.any for each in seen.values()),
        "n": found.n,
        "share": found.estimate,
        "ci_low": found.low,
        "ci_high": found.high,
        "per_1000_tokens": per_1000(sum(sum(each.counts) for each in seen.values()), tokens),
        "by_word": by_word(list(seen.values()), words),
    }


def by_word(seen: Sequence[Seen], words: Sequence[str]) -> dict[str, dict[str, int]]:
    """Word -> the texts that hold it, and how often it occurs in all of them."""
    return {
        word: {
            "responses": sum(each.counts[place] > 0 for each in seen),
            "count": sum(each.counts[place] for each in seen),
        }
        for place, word in enumerate(words)
    }


def per_1000(occurrences: int, tokens: int) -> float | None:
    """Occurrences per 1,000 tokens; None without a token."""
    return 1000 * occurrences / tokens if tokens else None
