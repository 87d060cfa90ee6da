"""A study's table for people: Markdown, which is also what the terminal shows. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.measure.differences import OverSeeds
from oneshot.measure.gains import Paired
from oneshot.stages.comparing.numbers import Claim
from oneshot.stages.display import printable
from oneshot.stages.studies import dose as study_dose
from oneshot.stages.studies.dose import AtDrift
from oneshot.stages.studies.results import StudyTable, TaskTable

NONE = "-"


def markdown(table: StudyTable) -> list[str]:
    """The content of study.md."""
    return [f"# {table.name}", "", *text(table)]


def text(table: StudyTable) -> list[str]:
    """The same without a title."""
    done = sum(len(arm["seeds"]) for arm in table.arms.values())
    cells = len(table.arms) * len(table.seeds)
    out = [
        f"Claim: {table.claim}",
        "",
        f"{len(table.arms)} arms, seeds {', '.join(map(str, table.seeds))}; {done} of {cells} cells are done. "
        f"Baseline: {table.baseline}{_label(table, table.baseline)}.",
    ]
    if not table.tasks:
        lacks = "No cell is done" if not done else "The finished cells read nothing in common"
        out += ["", f"{lacks}, so there is nothing to compare."]
    for task in table.tasks:
        out += ["", *_steps(table, task), "", *_differences(table, task)]
        if task.drift is not None:
            out += ["", *_drift(table, task, task.drift)]
    if table.after:
        out += ["", *_after(table)]
    out += ["", *_reading(table)]
    return [printable(line) for line in out]


def _label(table: StudyTable, arm: str) -> str:
    told = str(table.arms[arm]["label"])
    return f" ({told})" if told else ""


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns stand below each other."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in (head, *rows)
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _steps(table: StudyTable, task: TaskTable) -> list[str]:
    """Every arm before and after; the gain of the baseline stands in each row."""
    baseline = task.rows.get(table.baseline)
    beside = f"; {table.baseline} {_points(baseline.to_base.estimate)}" if baseline else ""
    head = ["arm", "seeds", "training accuracy", "base", f"step {task.step}", "to base, these runs", "drift", "paper"]
    rows = []
    for arm, row in task.rows.items():
        told = table.arms[arm]
        training = told["training"]
        own = f"{_points(row.to_base.estimate)} [{_points(row.to_base.ci_low)}, {_points(row.to_base.ci_high)}]"
        rows.append([
            arm + _label(table, arm),
            str(len(told["seeds"])),
            f"{_share(training['first'])} -> {_share(training['last'])}",
            _share(row.base.estimate),
            _share(row.last.estimate),
            own + (beside if arm != table.baseline else ""),
            NONE if told["drift"] is None else f"{told['drift']:.3g}",
            told["paper"] or NONE,
        ])  # fmt: skip
    what = " (read during training; nothing was chosen by it)" if task.dev else ""
    return [f"## {task.task}, {task.n} problems{what}, at equal steps", "", *_grid(head, rows)]


def _differences(table: StudyTable, task: TaskTable) -> list[str]:
    rows = [
        [f"{each.arm} - {each.against}", str(len(each.seeds)), *_claim(each.claim, each.primary), each.says]
        for each in task.claims
    ]
    if not rows:
        return [f"No pair of an arm and {table.baseline} is done, so nothing is compared."]
    return _grid(_HEAD, rows)


_HEAD = ["difference, points", "seeds", "these runs, 95 %", "new seeds, 95 %", "p", "Holm", "detectable", "says"]


def _claim(claim: Claim, primary: bool) -> list[str]:
    """Estimate with both intervals, p, of a pair that is claimed Holm's p, and the detectable size."""
    detectable = (claim.seeds or claim.paired).detectable
    return [
        _difference(claim.paired),
        NONE if claim.seeds is None else f"{_points(claim.seeds.estimate)} {_interval(claim.seeds)}",
        _p(claim.p_value),
        _p(claim.holm) if primary else NONE,
        f"{100 * detectable:.1f}",
    ]


def _difference(paired: Paired) -> str:
    return f"{_points(paired.estimate)} {_interval(paired)}"


def _interval(found: Paired | OverSeeds) -> str:
    return f"[{_points(found.ci_low)}, {_points(found.ci_high)}]"


def _drift(table: StudyTable, task: TaskTable, found: AtDrift) -> list[str]:
    head = ["arm", "seeds", "accuracy", "between steps"]
    values = [
        [
            arm + _label(table, arm),
            str(len(doses)),
            _share(study_dose.mean([dose.value for dose in doses.values()])),
            ", ".join(f"{dose.between[0]}-{dose.between[1]}" for dose in doses.values()),
        ]
        for arm, doses in found.doses.items()
    ]
    rows = [
        [
            f"{arm} - {against}",
            str(len(seeds)),
            *_claim(claim, {arm, against} in found.primary),
            found.says(arm, against, claim),
        ]
        for arm, against, seeds, claim in found.claims
    ]
    lines = [f"## {task.task}, at equal drift: {found.drift:.3g} nats a token", "", *_grid(head, values)]
    return [*lines, "", *(_grid(_HEAD, rows) if rows else ["No pair moved as far."])]


def _after(table: StudyTable) -> list[str]:
    """Whether an arm went on gaining after its example was solved; the detectable size beside each."""
    head = ["arm", "solved from step", "readings after", "gain, points, 95 %", "p", "Holm", "detectable", "says"]
    rows = []
    for arm, found in table.after.items():
        gain = found.gain
        steps = ", ".join(NONE if step is None else str(step) for step in found.saturated.values())
        told = [NONE] * 4
        if gain.estimate is not None and gain.ci_low is not None and gain.ci_high is not None:
            interval = f"{_points(gain.estimate)} [{_points(gain.ci_low)}, {_points(gain.ci_high)}]"
            told = [interval, *(NONE if p is None else _p(p) for p in (gain.p_value, found.holm))]
            told.append(NONE if gain.detectable is None else f"{100 * gain.detectable:.1f}")
        rows.append([arm + _label(table, arm), steps, str(gain.evaluations), *told, found.says])
    title = "## After the example was solved: last third of the readings minus the first"
    return [title, "", *_grid(head, rows), "", *(f"{arm}: {found.gain.why}" for arm, found in table.after.items())]


def _reading(table: StudyTable) -> list[str]:
    """How to read it, what is missing, and which announcement the runs carry."""
    out = [
        "Differences are paired by problem. `these runs`: other problems of the kind; `new seeds`: training again, t "
        "with S - 1 degrees of freedom. Only the latter is claimed, from 3 seeds on and with all that were announced, "
        "where Holm's p over the announced claims of a table is at most .05; pairs that were not announced as primary "
        "are described. `detectable`: the smallest true difference found 4 times in 5 (docs/studies.md).",
    ]
    for digest, runs in table.sha256.items():
        out.append(f"Preregistration {digest[:16]}: {len(runs)} run{'s' if len(runs) > 1 else ''}.")
    for state, cells in table.unfinished.items():
        out.append(f"{state}: {'; '.join(cells)}.")
    return [*out, *(f"Note: {note}." for note in table.notes)]


def _points(value: float) -> str:
    return f"{100 * value:+.1f}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}"


def _share(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"
