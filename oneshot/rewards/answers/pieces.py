"""Sets of real numbers as sorted pieces: union, intersection, complement, equality."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from oneshot.rewards.answers.evaluate import TooBig, approximate
from oneshot.rewards.answers.values import Valued, agree

MAX_PIECES = 64


class End(NamedTuple):
    """One end of a piece. `infinite` is -1 or 1 for an infinity, else 0."""

    infinite: int
    value: Valued | None
    closed: bool


class Piece(NamedTuple):
    """All reals between two ends; one point where they are the same closed value."""

    low: End
    high: End


LOWEST, HIGHEST = End(-1, None, False), End(1, None, False)
LINE = (Piece(LOWEST, HIGHEST),)


def same_reals(a: Sequence[Piece], b: Sequence[Piece]) -> bool:
    """Whether two sets in normal form are the same."""
    return len(a) == len(b) and all(
        _same_end(p.low, q.low) and _same_end(p.high, q.high) for p, q in zip(a, b, strict=True)
    )


def _same_end(a: End, b: End) -> bool:
    if a.infinite or b.infinite:
        return a.infinite == b.infinite
    return a.closed == b.closed and compare(a, b) == 0


def compare(a: End, b: End) -> int:
    """Order of the two places, whatever the brackets."""
    if a.infinite or b.infinite:
        return (a.infinite > b.infinite) - (a.infinite < b.infinite)
    assert a.value is not None and b.value is not None
    if agree(a.value, b.value) is not False:
        return 0
    return 1 if approximate(a.value.value) > approximate(b.value.value) else -1


def complement(pieces: Sequence[Piece]) -> list[Piece]:
    """All reals outside."""
    out: list[Piece] = []
    low = LOWEST
    for piece in merged(pieces):
        if not (piece.low.infinite and low.infinite):
            out.append(Piece(low, piece.low._replace(closed=not piece.low.closed)))
        low = piece.high._replace(closed=not piece.high.closed)
    if not low.infinite or (not out and not pieces):
        out.append(Piece(low, HIGHEST))
    return [p for p in out if _holds(p)]


def intersection(a: Sequence[Piece], b: Sequence[Piece]) -> list[Piece]:
    """All reals in both."""
    out = []
    for p in a:
        for q in b:
            order = compare(p.low, q.low)
            low = p.low if order > 0 or (order == 0 and not p.low.closed) else q.low
            order = compare(p.high, q.high)
            high = p.high if order < 0 or (order == 0 and not p.high.closed) else q.high
            piece = Piece(low, high)
            if _holds(piece):
                out.append(piece)
            if len(out) > MAX_PIECES:
                raise TooBig
    return out


def _holds(piece: Piece) -> bool:
    """Whether a piece has any number in it."""
    order = compare(piece.low, piece.high)
    return order < 0 or (order == 0 and piece.low.closed and piece.high.closed)


def merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Sorted, and pieces that overlap or touch made one."""

    def order(p: Piece, q: Piece) -> int:
        return compare(p.low, q.low) or (q.low.closed - p.low.closed)

    out: list[Piece] = []
    for piece in sorted((p for p in pieces if _holds(p)), key=functools.cmp_to_key(order)):
        if out:
            gap = compare(piece.low, out[-1].high)
            if gap < 0 or (gap == 0 and (piece.low.closed or out[-1].high.closed)):
                if (compare(piece.high, out[-1].high) or piece.high.closed - out[-1].high.closed) > 0:
                    out[-1] = Piece(out[-1].low, piece.high)
                continue
        out.append(piece)
    return tuple(out)
