"""The instruments and the claims of a run, as far as its folder allows. An older or damaged folder costs no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.errors import OneshotError
from oneshot.measure.claims import CLAIMS, Claim, claims
from oneshot.measure.instruments import instruments
from oneshot.record import RunFolder

UNREADABLE: tuple[type[Exception], ...] = (
    OneshotError, OSError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError,
)  # fmt: skip
"""What files of an older schema, or damaged ones, can raise where their form is taken for granted."""


def measured(run: RunFolder, control: RunFolder | None, task: str, notes: list[str]) -> Mapping[str, Any]:
    """`instruments` of the run on the compared task; empty, with a note, where the folder cannot be read for it."""
    try:
        return instruments(run, task=task, control=control)
    except UNREADABLE as error:
        notes.append(f"The instruments could not read this folder: {said(error)}.")
        return {}


def claimed(run: RunFolder, control: RunFolder | None, task: str, notes: list[str]) -> Sequence[Claim]:
    """The five claims, always five and in their order."""
    try:
        return claims(run, control, task=task)
    except UNREADABLE as error:
        why = f"the folder could not be read: {said(error)}"
        notes.append(f"The claims could not be tested: {why}.")
        return [
            Claim(name=name, sentence="", badge="not tested", estimate=None, low=None, high=None, n=0, why=why)
            for name in CLAIMS
        ]


def said(error: Exception) -> str:
    """An error in a few words."""
    return (error.message if isinstance(error, OneshotError) else f"{type(error).__name__}: {error}").rstrip(".")
