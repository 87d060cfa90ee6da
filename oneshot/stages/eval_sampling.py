"""Measure a whole task, with the sampler that trains, and record it.

Responses are kept as they are sampled (`eval_work.py`) and graded from the record at the end (`eval_grading.py`), so
that neither a kill nor another grader costs sampling.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Any

from oneshot._store.evaluations import CHOICES, FORCED, SAMPLE, Key, PartialEval
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.measure.scores import summary
from oneshot.measure.statistics import wilson
from oneshot.record import Evaluations
from oneshot.stages import asked_alike, eval_work, forcing, graders, loglikelihood
from oneshot.stages.asked import Asked
from oneshot.stages.eval_grading import Graders, Raw, raw_of, same_answer
from oneshot.stages.eval_work import Work
from oneshot.stages.progress import Progress
from oneshot.stages.setup import Setup, annotate
from oneshot.stages.signals import StopRequest
from oneshot.types import EvalRow

SCHEMA = "oneshot.results/2"
_LIBRARIES = {"torch": "torch", "transformers": "transformers", "oneshot": "oneshot-rlvr"}

Say = Callable[[str], None]


def measure_task(
    setup: Setup,
    asked: Asked,
    store: Evaluations,
    checkpoint: str,
    *,
    say: Say = lambda text: None,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
) -> list[EvalRow]:
    """Measure a task with the weights of `setup`, and record it as `asked.under(checkpoint)`; rows by problem, sample.

    What is finished is read; what was begun is continued. Of the configuration only seed, model and prompt limit
    are read: everything else is the protocol's.

    Args:
        setup: the loaded model.
        asked: the task as it is asked.
        store: a run folder, or that of a bare model.
        checkpoint: `base`, `checkpoint-12`.
        say: told in a sentence what a reader of the result should know.
        progress: a bar, lines or nothing.
        stop: the stop request of a training run, which then gets `Abandoned` instead of `Stopped`.

    Raises:
        UsageError: E107 what is recorded under this name was sampled otherwise, E105 prompts too long for the model.
        DataError: E301 a problem that cannot be asked, E305 a user's function failed.
        MachineError: E202 the disk is full; whole batches are kept.
        Stopped: 130 after Ctrl-C, 75 after SIGTERM; whole batches are kept.
    """
    name, began = asked.under(checkpoint), time.perf_counter()
    prompts = _prompts(setup, asked)
    head = eval_work.head_of(setup, asked, prompts)
    old, protocol = dict[Key, Raw](), dict[str, Any]()
    if store.has_eval(asked.name, name):
        protocol, rows = asked_alike.read(asked, store, name)
        store.check_protocol(asked.name, name, protocol, head)
        finished = recorded(asked, store, checkpoint, say=say)
        if finished is not None:
            store.partial_path(asked.name, name).unlink(missing_ok=True)  # of a kill between writing and removing
            return finished
        old = _old(asked, rows)  # whole but for the forced boxes
    elif _bare(setup, asked):
        say(f"{setup.config.model.name} has no chat template: the prompt is the bare question")
    partial = store.partial(asked.name, name, head)
    with Work(setup.eval_engine, partial, progress=progress, stop=stop) as work:
        made = _rows(work, setup, asked, prompts, old)
    protocol = protocol or {
        "model": setup.config.model.name,
        "seed": setup.config.seed,
        **head,
        "prompt": setup.policy.tokenizer.decode(list(prompts[0])) if prompts else "",
        "libraries": {name: metadata.version(package) for name, package in _LIBRARIES.items()},
        "reused": work.known,
        "seconds": time.perf_counter() - began,
    }
    _write(asked, store, name, made, {**protocol, **asked_alike.without_model(asked)})
    partial.remove()
    return made


def recorded(
    asked: Asked, store: Evaluations, checkpoint: str, *, say: Say = lambda text: None
) -> list[EvalRow] | None:
    """A finished evaluation, without the model; None where there is none, or forced boxes are asked for and missing.

    One that was graded by another version of its grader is graded again from the recorded responses, and rewritten.

    Raises:
        UsageError: E106 it is damaged; E107 it was asked otherwise, or of other problems.
        DataError: E305 a user's function failed.
    """
    name = asked.under(checkpoint)
    if not store.has_eval(asked.name, name):
        return None
    protocol, rows = asked_alike.read(asked, store, name)
    if asked.forced and not all("forced" in row.meta for row in rows):
        return None
    now = asked_alike.without_model(asked)["grader_version"]
    before = protocol.get("grader_version", "")
    if before == now:
        return rows
    say(
        f"{asked.name}, {name}: the grader has changed ({before or 'unknown'} -> {now}); the recorded responses are "
        "graded again, and nothing is sampled"
    )
    by = _graders(replace(asked, forced=all("forced" in row.meta for row in rows)))
    again = [by.row(asked.problems[i], raw, annotate) for (i, _), raw in _old(asked, rows).items()]
    _write(asked, store, name, again, {**protocol, **asked_alike.without_model(asked)})
    return again


def _prompts(setup: Setup, asked: Asked) -> list[tuple[int, ...]]:
    if asked.protocol.kind == LOGLIKELIHOOD:
        return [loglikelihood.pairs_of(setup.policy, problem)[0] for problem in asked.problems]
    return eval_work.prompts_of(setup, asked)


def _graders(asked: Asked) -> Graders:
    both = {"strict": asked.strict, "lenient": asked.lenient} if asked.maths else {}
    return Graders(verify=asked.verify, forced=asked.forced, **both)


def _drawn(asked: Asked, partial: PartialEval) -> dict[Key, Raw]:
    """Every response that was sampled, by (problem, sample), in that order."""
    drawn = partial.get(SAMPLE)
    keys = [(i, s) for i in range(len(asked.problems)) for s in range(asked.protocol.samples)]
    return {(i, s): Raw(text=drawn[i, s][0], tokens=drawn[i, s][1], cut=drawn[i, s][2], sample=s) for i, s in keys}


def _old(asked: Asked, rows: Sequence[EvalRow]) -> dict[Key, Raw]:
    """The same of a finished evaluation, whose rows are those of the problems."""
    keys = [(i, s) for i in range(len(asked.problems)) for s in range(asked.protocol.samples)]
    return {key: raw_of(row) for key, row in zip(keys, rows, strict=True)}


def _rows(
    work: Work, setup: Setup, asked: Asked, prompts: Sequence[tuple[int, ...]], old: Mapping[Key, Raw]
) -> list[EvalRow]:
    """Sample what the record lacks, then grade everything from the record; `old` are responses that are finished."""
    if asked.protocol.kind == LOGLIKELIHOOD:
        loglikelihood.score(work, setup, asked)
        scored = work.record.get(CHOICES)
        return [loglikelihood.row_of(p, (scored[i, 0][0], scored[i, 0][1])) for i, p in enumerate(asked.problems)]
    if not old:
        eval_work.sample(work, setup, asked, prompts)
    raw = old or _drawn(asked, work.record)
    if asked.forced:
        forcing.force(work, setup, asked.name, prompts, {key: each.text for key, each in raw.items()})
    by, forced, rows = _graders(asked), work.record.get(FORCED), []
    for key, each in raw.items():
        work.pause()
        filled = replace(each, forced=forced[key][0]) if key in forced else each
        rows.append(by.row(asked.problems[key[0]], filled, annotate))
    return rows


def _bare(setup: Setup, asked: Asked) -> bool:
    """Whether the prompt is the question without a chat template, though nobody asked for that."""
    chat = bool(setup.policy.tokenizer.chat_template)
    return not chat and asked.render is None and asked.protocol.kind != LOGLIKELIHOOD


def _write(asked: Asked, store: Evaluations, name: str, rows: Sequence[EvalRow], protocol: Mapping[str, Any]) -> None:
    task, grader = asked.task, asked.protocol.grader
    found = summary(rows, floor=task.floor, level_key=task.level_key, same=same_answer(grader))
    body: dict[str, Any] = {"schema": SCHEMA, **found}
    if asked.protocol.kind == LOGLIKELIHOOD:
        right = sum(bool(row.meta["correct_norm"]) for row in rows)
        normed = wilson(right, len(rows))
        body["acc_norm"] = {"correct": right, "value": normed.estimate, "ci_low": normed.low, "ci_high": normed.high}
        body["unmatchable"] = {}
    else:
        body["unmatchable"] = graders.unmatchable(asked.verify, asked.problems).as_dict()
    store.write_eval(asked.name, name, {**body, "protocol": dict(protocol)}, rows)
