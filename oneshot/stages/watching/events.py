"""What happened in a run, from its events: one sentence each, for those that a person should know of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]


def _health(event: Event) -> str:
    return f"health: {event.get('finding', '')}"


def _dropped(event: Event) -> str:
    return f"the update of step {_next(event)} was dropped: its loss or gradient is not finite"


def _memory(event: Event) -> str:
    return f"memory ran out in step {_next(event)}; micro-batches of {event.get('micro_tokens')} tokens from there on"


def _verdicts(event: Event) -> str:
    where = "before step 1" if event.get("step") is None else f"in step {_next(event)}"
    return f"{event.get('responses')} verdicts {where} were not reached and count as wrong"


def _resume(event: Event) -> str:
    return f"continued after step {event.get('step')}"


def _stop(event: Event) -> str:
    return f"stopped after step {event.get('step')} by signal {event.get('signal')}"


def _rounds(event: Event) -> str:
    equal, rounds = event.get("equal_groups"), event.get("rounds")
    return f"step {_next(event)} has {equal} groups with equal rewards left after {rounds} rounds"


def _fallback(event: Event) -> str:
    return f"{event.get('what', 'a fast path')} instead of the fast path: {event.get('why', '')}"


def _damaged(event: Event) -> str:
    return f"a damaged state was found; {event.get('used')} was used"


def _next(event: Event) -> str:
    """Steps are counted from 0 in most events, and from 1 in words."""
    step = event.get("step")
    return str(step + 1) if isinstance(step, int) else "?"


SAID: Mapping[str, Callable[[Event], str]] = {
    "health": _health,
    "dropped": _dropped,
    "memory": _memory,
    "verdicts": _verdicts,
    "resume": _resume,
    "stop": _stop,
    "rounds": _rounds,
    "fallback": _fallback,
    "damaged": _damaged,
}
QUIET = ("preflight", "model", "checked", "attempt", "save", "saved", "sampled")
"""Kinds that say nothing new while a run goes on; any other kind is shown as it is."""
LONGEST = 300
"""Characters of a sentence."""


def sentences(events: Sequence[Event]) -> list[str]:
    """The events worth telling, in order; one said several times in a row is said once."""
    out: list[str] = []
    for event in events:
        kind = str(event.get("kind", ""))
        if kind in QUIET:
            continue
        text = " ".join((SAID[kind](event) if kind in SAID else _as_it_is(kind, event)).split())[:LONGEST]
        if not out or out[-1] != text:
            out.append(text)
    return out


def _as_it_is(kind: str, event: Event) -> str:
    details = {key: value for key, value in event.items() if key not in ("time", "attempt", "kind")}
    return f"{kind}: {json.dumps(details, ensure_ascii=False)}"
