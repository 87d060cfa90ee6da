"""The numbers of a study: every arm against the baseline, at equal steps and at equal drift. Loads no torch.

The statistics are those of `oneshot compare`: a claim is one difference of one task from the baseline, or a contrast;
Holm's adjustment is over all claims of a table that were announced, those that cannot be made yet as if their p were 1,
or a look before the end would have fewer to pass. Those at equal drift are a table of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from oneshot._store.values import number
from oneshot.measure import gains
from oneshot.measure.multiplicity import holm
from oneshot.record import RunFolder
from oneshot.rewards.controls import label
from oneshot.stages.comparing import match as compare_match
from oneshot.stages.comparing import seeds as compare_seeds
from oneshot.stages.comparing.models import BASE, Arm, Evaluation, Model
from oneshot.stages.comparing.numbers import line_of, sides, value_of
from oneshot.stages.evals import best
from oneshot.stages.studies import after as study_after
from oneshot.stages.studies import dose as study_dose
from oneshot.stages.studies.folder import DONE, PREREGISTERED, StudyFolder
from oneshot.stages.studies.results import Compared, Row, StudyTable, TaskTable

Runs = Mapping[int, RunFolder]
"""Seed -> the finished run of an arm."""


def table_of(folder: StudyFolder) -> StudyTable:
    """The table of what is done. Errors as of reading evaluations (`UsageError` E106)."""
    study = folder.plan.study
    done: dict[str, dict[int, RunFolder]] = {arm.name: {} for arm in study.arms}
    digests, unfinished = dict[str, list[str]](), dict[str, list[str]]()
    for cell in folder.cells():
        run = folder.run_of(cell)
        if run is not None:
            digests.setdefault(_digest(run), []).append(run.path.name)
        if run is not None and cell.state == DONE:
            done[cell.arm][cell.seed] = run
        else:
            unfinished.setdefault(cell.state, []).append(f"{cell.arm}, seed {cell.seed}")
    finished = {arm: runs for arm, runs in done.items() if runs}
    notes: list[str] = []
    return StudyTable(
        name=folder.plan.name,
        claim=study.claim,
        baseline=study.baseline,
        contrasts=study.contrasts,
        primary=study.primary,
        seeds=study.seeds,
        arms={arm.name: _arm(arm.paper, done[arm.name]) for arm in study.arms},
        tasks=_tasks(folder, finished, notes),
        after=study_after.after_of(finished, len(study.seeds)),
        sha256=digests,
        unfinished=unfinished,
        notes=list(dict.fromkeys(notes)),
    )


def _digest(run: RunFolder) -> str:
    found = [str(event["sha256"]) for event in run.events() if event["kind"] == PREREGISTERED]
    return found[-1] if found else "none"


def _arm(paper: str, runs: Runs) -> dict[str, Any]:
    shares = [[number(row.get("train/accuracy")) for row in run.metrics()] for run in runs.values()]
    finals = [final for run in runs.values() if (final := study_dose.final_drift(run)) is not None]
    mean = study_dose.mean
    return {
        "label": label(next(iter(runs.values())).config()) if runs else "",
        "paper": paper,
        "seeds": list(runs),
        "runs": {seed: run.path.name for seed, run in runs.items()},
        "training": {
            "first": mean([found[0] for found in shares if found and found[0] is not None]),
            "last": mean([found[-1] for found in shares if found and found[-1] is not None]),
        },
        "drift": mean(finals),
    }


def _tasks(folder: StudyFolder, done: Mapping[str, Runs], notes: list[str]) -> list[TaskTable]:
    """Every test task that all finished cells read; the dev set where there is no other."""
    runs = [run for found in done.values() for run in found.values()]
    if not runs:
        return []
    dev = best.dev_task(next(iter(folder.plan.arms.values())))
    there = [task for task, _ in runs[0].evals()]
    common = [task for task in dict.fromkeys(there) if _common_steps(runs, task)]
    notes += [
        f"{task}: there is no step after which all finished cells read it, so it is not compared"
        for task in dict.fromkeys(there)
        if task not in common
    ]
    chosen = [task for task in common if task != dev] or common
    pairs, primary = _pairs(folder, done), claimed(folder)
    claims = len(chosen) * len(primary)
    made = [_task(task, done, pairs, claims, notes) for task in chosen]
    p_values = [each.claim.p_value for table in made for each in table.claims if {each.arm, each.against} in primary]
    adjusted = iter(holm([*p_values, *[1.0] * (claims - len(p_values))]))
    seeds = len(folder.plan.study.seeds)

    def judged(each: Compared) -> Compared:
        if {each.arm, each.against} not in primary:
            return replace(each, primary=False)
        return replace(each, claim=replace(each.claim, holm=next(adjusted)), announced=seeds)

    tables = [replace(table, claims=[judged(each) for each in table.claims], dev=table.task == dev) for table in made]
    moved = study_dose.at_equal_drift(done, chosen, pairs, notes, (seeds, primary))
    return [replace(table, drift=moved.get(table.task)) for table in tables]


def _steps(run: RunFolder, task: str) -> list[int]:
    """Steps after which a task was read, where the base was read too."""
    return best.steps_read(run, task) if run.has_eval(task, BASE) else []


def _common_steps(runs: Sequence[RunFolder], task: str) -> list[int]:
    """Steps after which all of them read a task."""
    return sorted(set.intersection(*(set(_steps(run, task)) for run in runs)))


def announced(folder: StudyFolder) -> list[tuple[str, str]]:
    """(arm, against) of every pair that is compared: each arm and the baseline, the contrasts, the primary pairs.

    A contrast that turns such a pair round is the same claim: it is made once, as the contrast has it.
    """
    study = folder.plan.study
    wanted = [(arm.name, study.baseline) for arm in study.arms if arm.name != study.baseline]
    return list({frozenset(pair): pair for pair in (*wanted, *study.contrasts, *study.primary)}.values())


def claimed(folder: StudyFolder) -> frozenset[frozenset[str]]:
    """The pairs that are claimed: the primary ones, or all that were announced."""
    return frozenset(map(frozenset, folder.plan.study.primary or announced(folder)))


def _pairs(folder: StudyFolder, done: Mapping[str, Runs]) -> list[tuple[str, str, tuple[int, ...]]]:
    """(arm, against, seeds that both have) of every claim that can be made."""
    found = []
    for arm, against in announced(folder):
        shared = tuple(seed for seed in done.get(arm, {}) if seed in done.get(against, {}))
        if shared:
            found.append((arm, against, shared))
    return found


def _task(
    task: str,
    done: Mapping[str, Runs],
    pairs: Sequence[tuple[str, str, tuple[int, ...]]],
    claims: int,
    notes: list[str],
) -> TaskTable:
    runs = [run for found in done.values() for run in found.values()]
    lasts = [_steps(run, task)[-1] for run in runs]
    step = _common_steps(runs, task)[-1]
    if max(lasts) > step:
        notes.append(
            f"{task}: compared after {step} steps, the most that all cells were read after (some {max(lasts)})"
        )
    read = {
        arm: {seed: Model(store=run, checkpoint=f"checkpoint-{step}").read(task) for seed, run in found.items()}
        for arm, found in done.items()
    }
    rows = {arm: _row(task, found, list(read[arm].values())) for arm, found in done.items()}
    compared = []
    for arm, against, seeds in pairs:
        control, other = ([read[name][seed] for seed in seeds] for name in (against, arm))
        doubt = _doubt(step, (against, arm), done, seeds, (control, other))
        matched = compare_match.Matched(name=task, arms={against: tuple(control), arm: tuple(other)})
        claim = line_of(matched, {arm: doubt}, claims).claims[arm]
        compared.append(Compared(arm=arm, against=against, claim=claim, seeds=seeds))
    n = len(next(iter(read[next(iter(read))].values())).ids)
    return TaskTable(task=task, n=n, step=step, rows=rows, claims=compared)


def _row(task: str, runs: Runs, last: Sequence[Evaluation]) -> Row:
    base = [Model(store=run, checkpoint=BASE).read(task) for run in runs.values()]
    before, after, samples = sides(base, last)
    return Row(base=value_of(base), last=value_of(last), to_base=gains.paired(before, after, samples=samples))


def _doubt(
    step: int,
    pair: tuple[str, str],
    done: Mapping[str, Runs],
    seeds: Sequence[int],
    read: tuple[Sequence[Evaluation], Sequence[Evaluation]],
) -> str:
    """Why the runs of a pair are no training seeds, or cannot be compared; empty where they can."""
    for control, other in zip(*read, strict=True):
        if told := list(compare_match.differences(control, other)):
            return f"they were read differently: {compare_match.sentence(told)}"
    arms = [
        Arm(
            letter=name,
            models=tuple(Model(store=done[name][seed], checkpoint=f"checkpoint-{step}") for seed in seeds),
        )
        for name in pair
    ]
    return compare_seeds.doubt(arms[0], arms[1], dict(zip(pair, read, strict=True)))
