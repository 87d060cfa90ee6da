"""The instruments and the claims of a run, as far as its folder allows. An older or damaged folder costs no page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from oneshot.errors import OneshotError
from oneshot.measure import claims, instruments
from oneshot.measure.claims import CLAIMS, Claim
from oneshot.measure.control_line import beside_line, control_line, settings_line
from oneshot.measure.run_facts import WRONG_FORM, read
from oneshot.record import RunFolder

Found = TypeVar("Found")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What could be measured of a run, and the lines that its settings make."""

    instruments: Mapping[str, Any] = field(default_factory=dict)
    claims: Sequence[Claim] = ()
    """Always the five, in their order."""
    again: str = ""
    control_lines: Sequence[str] = ()


def measured(run: RunFolder, control: RunFolder | None, task: str, notes: list[str]) -> Measured:
    """Instruments and claims of a run on the compared task; what its folder does not allow is noted.

    Both read the folder once, together.
    """
    read_all = _attempt(lambda: (read(run, task), read(control, task) if control is not None else None), notes)
    if read_all is None:
        return Measured(claims=_untested(notes[-1]))
    facts, arm = read_all
    found = _attempt(lambda: instruments.measured(facts, arm), notes)
    tested = _attempt(lambda: claims.judged(facts, arm), notes)
    return Measured(
        instruments=found or {},
        claims=_untested(notes[-1]) if tested is None else tested,
        again=_attempt(lambda: settings_line(facts), notes) or "",
        control_lines=_attempt(lambda: (control_line(facts), beside_line(facts)), notes) or (),
    )


def _attempt(what: Callable[[], Found], notes: list[str]) -> Found | None:
    """None, with a note, where files of another version, or damaged ones, have not the form taken for granted."""
    try:
        return what()
    except (OneshotError, *WRONG_FORM) as error:
        said = error.message if isinstance(error, OneshotError) else f"{type(error).__name__}: {error}"
        notes.append(f"The folder could not be read for what is measured here: {said.rstrip('.')}.")
        return None


def _untested(why: str) -> Sequence[Claim]:
    return [
        Claim(name=name, sentence="", badge="not tested", estimate=None, low=None, high=None, n=0, why=why)
        for name in CLAIMS
    ]
