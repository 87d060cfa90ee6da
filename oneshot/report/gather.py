"""Everything the page needs, read from a run folder once. Whatever is absent stays empty, and the page says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oneshot._store.values import is_number
from oneshot._store.values import section as part
from oneshot.errors import OneshotError
from oneshot.measure import gains
from oneshot.measure.claims import Claim
from oneshot.measure.compared import summary_size
from oneshot.measure.control_run import held_out_of
from oneshot.measure.run_facts import folder_of, responses_of
from oneshot.measure.scores import answered
from oneshot.record import RunFolder
from oneshot.report.arms import Arm, arm_of
from oneshot.report.heldout import HeldOut, Read, Rows, Task, held_out, own_rows
from oneshot.report.measured import measured
from oneshot.report.reading import Reading
from oneshot.types import EvalRow

__all__ = ["Facts", "HeldOut", "Read", "Rows", "Task", "gather", "part"]

ROLLOUT_STEPS, ROLLOUTS_A_STEP = 4, 6


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One run as the page sees it."""

    name: str
    folder: str = ""
    """The run as a word of a command line."""
    config: Mapping[str, Any]
    env: Mapping[str, Any]
    status: Mapping[str, Any]
    summary: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    example: Mapping[str, Any]
    examples: int = 0
    """How many training examples the run has."""
    kind: str = ""
    """The example's category."""
    arm: Arm = field(default_factory=Arm)
    """Whether it is a control arm, and which."""
    held: HeldOut = field(default_factory=HeldOut)
    rollouts: Mapping[int, tuple[Sequence[Mapping[str, Any]], int]] = field(default_factory=dict)
    """Step -> some of its training responses, and how many it has."""
    selection: Sequence[Mapping[str, Any]] = ()
    visits: Sequence[tuple[int, int, int]] = ()
    """(step, right, samples) of the example that is shown, where the run has others too."""
    saved: Sequence[int] = ()
    """Steps after which a checkpoint was written."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """What `measure.instruments` found."""
    claims: Sequence[Claim] = ()
    again: str = ""
    """The line of a new run with this one's settings."""
    control_lines: Sequence[str] = ()
    """Lines that train a control arm of this run and put it on the page."""
    control: Facts | None = None
    notes: Sequence[str] = ()
    """What could not be read."""

    @property
    def state(self) -> str:
        """The run's state; `done` as soon as there is a summary, because the page is written just before the end."""
        said = str(self.status.get("state") or "")
        return "done" if said == "running" and self.summary.get("headline") else said

    def responses(self, row: Mapping[str, Any]) -> int:
        """Training responses of a step, given its metrics; 0 where nothing says it."""
        return responses_of(row, self.config)

    @property
    def responses_a_step(self) -> str:
        """Training responses of one step, `32` or `32 to 64`; empty where nothing says it."""
        sizes = {self.responses(row) for row in self.metrics or ({},)}
        least, most = min(sizes), max(sizes)
        return "" if not most else f"{most:,}" if least == most else f"{least:,} to {most:,}"

    @property
    def saturation(self) -> int | None:
        """The step from which on the training samples are solved, where the instruments found one."""
        step = part(self.measured, "saturation").get("step")
        return int(step) if is_number(step) else None

    def own(self, rows: Rows) -> list[EvalRow]:
        """The rows of the example's own kind."""
        return own_rows(rows, self.kind)


def gather(run: RunFolder, control: RunFolder | None = None) -> Facts:
    """Read a run folder, and the control arm's if given. What is absent or damaged is noted, never an error."""
    facts = recorded(run)
    facts = replace(facts, control=recorded(control, facts.held) if control is not None else None)
    notes = [*facts.notes]
    found = measured(run, control, facts.held.task, notes)
    return replace(
        facts,
        measured=found.instruments,
        claims=found.claims,
        again=found.again,
        control_lines=found.control_lines,
        notes=notes,
    )


def recorded(run: RunFolder, beside: HeldOut | None = None) -> Facts:
    """What the folder holds, without instruments and claims; `beside` as of `heldout.held_out`."""
    reading = Reading(run)
    summary, config, examples = reading.json("summary.json"), reading.json("config.json"), reading.rows("example.jsonl")
    example = {**(examples[0] if examples else {}), **part(summary, "example")}
    kind = str(example.get("kind") or example.get("category") or "")
    events = reading.rows("events.jsonl")
    facts = Facts(
        name=run.path.resolve().name,
        folder=folder_of(run, config),
        config=config,
        env=reading.json("env.json"),
        status=reading.json("status.json"),
        summary=summary,
        metrics=reading.metrics(),
        events=events,
        example=example,
        examples=len(examples),
        kind=kind,
        arm=arm_of(config, summary),
        held=held_out(reading, kind, config, summary, beside),
        rollouts=_rollouts(reading),
        selection=reading.rows("selection.jsonl"),
        visits=reading.visits(str(example.get("id"))) if len(examples) > 1 else (),
        saved=_saved(run, events),
    )
    notes = [*reading.notes]
    return replace(facts, summary=_completed(facts, examples, notes), notes=notes)


def _rollouts(reading: Reading) -> dict[int, tuple[Sequence[Mapping[str, Any]], int]]:
    """Training responses of the first and the last recorded step and of some between, evenly spread."""
    steps = reading.rollout_steps()
    count = min(ROLLOUT_STEPS, len(steps))
    chosen = sorted({steps[round(i * (len(steps) - 1) / max(count - 1, 1))] for i in range(count)})
    found = {step: reading.rollouts(step, ROLLOUTS_A_STEP) for step in chosen}
    return {step: told for step, told in found.items() if told[0]}


def _saved(run: RunFolder, events: Sequence[Mapping[str, Any]]) -> list[int]:
    noted = {int(e["step"]) for e in events if e.get("kind") in {"save", "saved"} and is_number(e.get("step"))}
    return sorted(noted | set(run.checkpoints()))


def _completed(facts: Facts, examples: Sequence[Mapping[str, Any]], notes: list[str]) -> dict[str, Any]:
    """The summary, with the comparisons it lacks, or has of something else, computed from the graded responses.

    Its sentence is kept where it is about this comparison.
    """
    summary = dict(facts.summary)
    if not facts.held.base or not facts.held.trained:
        return summary
    try:
        computed = _computed(facts, examples)
    except OneshotError as error:
        where = f"base and {facts.held.checkpoint} on {facts.held.task}"
        notes.append(f"{where} cannot be compared: {error.message}")
        return summary
    if not (facts.held.summarised and summary_size(summary)):
        summary.pop("headline", None)
    if not facts.held.summarised:
        return {**summary, **computed}
    return {**computed, **{key: value for key, value in summary.items() if value not in (None, {}, [], "")}}


def _computed(facts: Facts, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    base, trained = facts.held.base, facts.held.trained
    headline = held_out_of(base, {facts.kind} - {""}, examples)
    first_base, first_trained = headline.of(base), headline.of(trained)
    names = dict.fromkeys(str(name) for row in base for name in row.meta.get("rungs") or ())
    both = (("base", base), ("trained", trained))
    out: dict[str, Any] = {
        "overall": gains.overall(base, trained).as_dict(),
        "categories": {k: v.as_dict() for k, v in gains.by_category(base, trained).items()},
        "ladder": {k: v.as_dict() for k, v in gains.ladder(base, trained, gains.by_rung(names)).items()},
        "paired": gains.paired(first_base, first_trained).as_dict(),
        "decomposition": gains.decomposition(first_base, first_trained).as_dict(),
        "transitions": gains.transitions(first_base, first_trained),
        "found": {name: gains.share(rows, answered).estimate for name, rows in both},
        "cut": {name: gains.share(rows, lambda r: r.cut).estimate for name, rows in both},
    }
    if any("answer_class" in row.meta for row in base):
        out["operations"] = gains.operation_table(base, trained, facts.kind)
        out["operation_decomposition"] = gains.operation_decomposition(first_base, first_trained).as_dict()
    if all("boxed" in row.meta for row in (*base, *trained)):
        out["boxed"] = {name: gains.share(rows, gains.strict_box).estimate for name, rows in both}
    if all("correct_short" in row.meta for row in (*base, *trained)):
        out["training_limit"] = gains.paired(first_base, first_trained, right=gains.at_training_limit).as_dict()
    return out
