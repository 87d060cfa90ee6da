"""What `oneshot regrade` prints for people. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SHOWN_STEPS = 20


def text(body: Mapping[str, Any]) -> str:
    """The same for people; responses are untrusted text, so their answers are shown with repr."""
    rolled = body["rollouts"]
    lines = [f"graded again with {body['grader']} (the reward was {body['was'] or 'not recorded'})"]
    if rolled["steps"]:
        lines.append(
            f"rollouts: {rolled['responses']:,} responses of {len(rolled['steps'])} steps; {rolled['to_right']:,} "
            f"wrong ones become right, {rolled['to_wrong']:,} right ones wrong; {rolled['groups_changed']:,} of "
            f"{rolled['groups']:,} groups would have had other advantages"
        )
        lines += _steps([row for row in rolled["steps"] if row["old"] != row["new"] or row["groups_changed"]])
        lines += [
            _flip(flip, "step {step}, group {group}, sample {sample}".format(**flip)) for flip in rolled["examples"]
        ]
    for entry in body["evals"]:
        lines.append(f"{entry['task']}, {entry['checkpoint']}: {_interval(entry['old'])} -> {_interval(entry['new'])}")
        if pair := entry.get("paired"):
            lines.append(f"  against base: {_points(pair['old'])} -> {_points(pair['new'])}: {pair['new']['claim']}")
        lines += [_flip(flip, f"problem {flip['id']!r}") for flip in entry["examples"]]
    lines += [f"{left['task']}, {left['checkpoint']}: not graded again: {left['why']}" for left in body["left_out"]]
    return "\n".join(lines)


def _steps(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    shown = [
        f"  step {row['step']}: {row['old']:.1%} -> {row['new']:.1%}, {row['groups_changed']} of {row['groups']} groups"
        for row in rows[:SHOWN_STEPS]
    ]
    left = len(rows) - len(shown)
    return [*shown, f"  ... and {left} more steps in the file"] if left else shown


def _flip(flip: Mapping[str, Any], where: str) -> str:
    old, new = (_quoted(flip[name]) for name in ("extracted_old", "extracted_new"))
    return (
        f"  now {flip['to']}: {where}: reference {_quoted(flip['reference'])}, read {old}, now {new} ({flip['status']})"
    )


def _quoted(value: str | None) -> str:
    return "nothing" if value is None else repr(value[:60])


def _interval(share: Mapping[str, Any]) -> str:
    if share["value"] is None:
        return "nothing"
    return f"{share['value']:.1%} ({share['ci_low']:.1%} to {share['ci_high']:.1%})"


def _points(pair: Mapping[str, Any]) -> str:
    return f"{100 * pair['estimate']:+.1f} points ({100 * pair['ci_low']:+.1f} to {100 * pair['ci_high']:+.1f})"
