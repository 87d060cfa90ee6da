"""What `oneshot compare` prints for people: one table of claims, and for each claim where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.measure.decompose import STATES
from oneshot.measure.differences import JUDGED, NO_ROOM, NOT_TESTED
from oneshot.measure.reasoning import BEYOND, NEEDED, WORDS
from oneshot.stages.comparing.match import Matched
from oneshot.stages.comparing.models import Arm, Model
from oneshot.stages.comparing.numbers import Claim, Line

HEAD = (
    "", "model", "problems", "accuracy", "95 % interval", "difference", "95 % interval", "p", "Holm", "detectable",
    "claim",
)  # fmt: skip


def aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> list[str]:
    """Rows as columns of text, to the right but for those in `left`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def table(lines: Sequence[Line], arms: Sequence[Arm]) -> list[str]:
    """Every arm on every task and average."""
    rows = [list(HEAD)]
    for line in lines:
        for arm in arms:
            value, claim = line.values[arm.letter], line.claims.get(arm.letter)
            first = [line.name, arm.label, str(line.n)] if arm is arms[0] else ["", arm.label, ""]
            rows.append([*first, _percent(value.estimate), _range(value.low, value.high), *_cells(claim)])
            if claim and claim.seeds:
                rows.append(["", f"{arm.letter} new seeds", "", "", "", *_over_seeds(claim)])
    return aligned(rows, left=(0, 1, len(HEAD) - 1))


def _cells(claim: Claim | None) -> list[str]:
    if claim is None:
        return [""] * 6
    pair = claim.paired
    own = [points(pair.estimate), _between(pair.ci_low, pair.ci_high), _p(pair.p_value)]
    last = ["", f"{100 * pair.detectable:.1f}", ""] if claim.seeds else [
        _p(claim.holm), f"{100 * pair.detectable:.1f}", claim.says + (", this run" if claim.says in JUDGED else ""),
    ]  # fmt: skip
    return [*own, *last]


def _over_seeds(claim: Claim) -> list[str]:
    assert claim.seeds is not None
    seeds = claim.seeds
    own = [points(seeds.estimate), _between(seeds.ci_low, seeds.ci_high), _p(seeds.p_value)]
    return [*own, _p(claim.holm), f"{100 * seeds.detectable:.1f}", claim.says]


def sizes(lines: Sequence[Line]) -> list[str]:
    """How many problems and samples stand behind each task, and what one problem is worth."""
    said = []
    for line in lines:
        if line.tasks:
            none = "" if line.room else f"; {NO_ROOM} in {_roomless(line, lines)}, so in none of the mean"
            said.append(f"{line.name}: the mean of {', '.join(line.tasks)}, each with the same weight{none}")
            continue
        numbers = sorted(set(line.samples.values()))
        samples = " and ".join(map(str, numbers)) + (" sample" if numbers == [1] else " samples") + " each"
        room = "" if line.room else (
            f"; {NO_ROOM}: the interval of A contains {_percent(line.floor)}, which chance alone gives"
        )  # fmt: skip
        few = "" if line.distinct == line.n else f" ({line.distinct} different ones)"
        few += f" (the first {line.limit} of it)" if line.limit else ""
        said.append(f"{line.name}: {line.n} problems{few}, {samples}; one problem is {100 / line.n:.1f} points{room}")
    return said


def _roomless(average: Line, lines: Sequence[Line]) -> str:
    return ", ".join(line.name for line in lines if line.name in average.tasks and not line.room)


def said(lines: Sequence[Line], arms: Sequence[Arm]) -> list[str]:
    """What the nulls of the table leave open, and why a claim was not tested."""
    found = []
    for line in lines:
        for arm in arms[1:]:
            claim, where = line.claims[arm.letter], f"{line.name}, {arm.label}"
            if claim.excluded is not None:
                found.append(f"{where}: {claim.says}; gains above {100 * claim.excluded:.1f} points are excluded")
            elif claim.says == NOT_TESTED:
                found.append(f"{where}: {claim.says}; {claim.scope}")
            elif claim.says == NO_ROOM and line.room:
                found.append(f"{where}: {claim.says}; {_guessed(line, lines, arms[0].letter, arm.letter)}")
    return found


def _guessed(line: Line, lines: Sequence[Line], control: str, arm: str) -> str:
    """Why an arm has no room though its control can be told from chance."""
    if line.tasks:
        none = [one.name for one in lines if one.name in line.tasks and not one.claims[arm].room]
        return f"there is none in {', '.join(none)}"
    return (
        f"{control} lies below what chance alone gives ({_percent(line.floor)}), and {arm} is not above it: stating "
        "any answer does as much"
    )


def reading(claims: int, runs: int) -> list[str]:
    """What the columns say."""
    said = [
        "difference: points, arm minus A on the same problems. detectable: the smallest true difference that would be "
        "claimed 4 times in 5.",
        f"Holm: p adjusted for the {claims} claims of this table." if claims > 1 else "Holm: one claim, so it is p.",
    ]
    if runs == 1:
        said.append(
            "Intervals speak of this run: of other problems, not of training once more. For that: "
            "oneshot compare A1,A2,A3 B1,B2,B3"
        )
    return said


def origin(task: Matched, control: Arm, arm: Arm, claim: Claim, body: Mapping[str, Any]) -> list[str]:
    """Where one difference comes from."""
    parts = body["decomposition"]["parts"]
    found, right = parts["found"], parts["right_given_found"]
    several = claim.paired.samples > 1
    lines = [
        f"{task.name}, {arm.label} against {control.label}: where the difference comes from",
        *("  " + line for line in _transitions(body, control, arm)),
        f"  {claim.paired.gained} problems {'better' if several else 'gained'}, {claim.paired.lost} "
        f"{'worse' if several else 'lost'}",
        f"  an answer was found {_percent(found['base'])} -> {_percent(found['trained'])}: {points(found['effect'])}; "
        f"right where found {_percent(right['base'])} -> {_percent(right['trained'])}: {points(right['effect'])} "
        "(descriptive)",
    ]
    for name, words in (("strict", "a complete box only"), ("lenient", "answers outside a box too")):
        if pair := body.get(name):
            lines.append(f"  {words}: {_percent(pair['base'])} -> {_percent(pair['trained'])}, {_change(pair)}")
    return [*lines, *(line for name, gain in body["gains"].items() for line in _gain(name, gain))]


def _transitions(body: Mapping[str, Any], control: Arm, arm: Arm) -> list[str]:
    """The 4 x 4 table with its margins."""
    moved = body["transitions"]
    rows = [[f"{control.letter} \\ {arm.letter}", *STATES, "all"]]
    rows += [
        [before, *(_count(moved[before][s]) for s in STATES), _count(sum(moved[before].values()))] for before in STATES
    ]
    totals = [sum(moved[before][after] for before in STATES) for after in STATES]
    return aligned([*rows, ["all", *map(_count, totals), _count(sum(totals))]])


def _gain(name: str, gain: Mapping[str, Any]) -> list[str]:
    """One of the three gains with what it is measured against and what was not tested."""
    which = "by" if name == "gain_format" else "against"
    against = f" {which} {WORDS[gain['against']]}" if gain["against"] in WORDS else ""
    missing = [f"    not measured: {', '.join(WORDS[m] for m in gain['missing'])}"] if gain["missing"] else []
    beyond = [f"    {BEYOND}; {NEEDED}"] if name == "gain_reasoning" else []
    return [f"  {name}: {_change(gain['paired'])}{against}: {gain['claim']}", *missing, *beyond]


def named(arms: Sequence[Arm]) -> list[str]:
    """Which letter stands for what."""
    return [f"{arm.letter}  {', '.join(map(_told, arm.models))}" for arm in arms]


def _told(model: Model) -> str:
    """A model's name, and what sets its run apart from a normal one."""
    return f"{model.name} ({model.label})" if model.label else model.name


def points(value: float) -> str:
    """`+12.5` percentage points."""
    return f"{100 * value:+.1f}"


def _change(pair: Mapping[str, Any]) -> str:
    return f"{points(pair['estimate'])} points ({_between(pair['ci_low'], pair['ci_high'])})"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _range(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}"


def _between(low: float, high: float) -> str:
    return f"{points(low)} to {points(high)}"


def _p(value: float) -> str:
    return "< .0001" if value < 0.0001 else f"{value:.4f}"


def _count(value: float) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def different(task: Matched) -> list[str]:
    """What `--allow-different` let pass."""
    told = [
        f"{entry['what']} {entry['A']!r} and {value!r} ({letter})"
        for entry in task.different
        for letter, value in entry.items()
        if letter not in ("what", "A")
    ]
    return [f"warning: {task.name} was measured differently: {'; '.join(told)}"]
