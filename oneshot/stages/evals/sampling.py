"""Measure a whole task, with the sampler that trains, and record it.

Responses are kept as they are sampled (`work.py`) and graded from the record at the end (`grading.py`), so
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
from oneshot.record import Evaluations
from oneshot.stages.evals import asked_alike, forcing, loglikelihood
from oneshot.stages.evals import records as eval_records
from oneshot.stages.evals import work as eval_work
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.grading import Raw
from oneshot.stages.evals.progress import Progress
from oneshot.stages.evals.work import Work
from oneshot.stages.setup import Setup, annotate
from oneshot.stages.signals import StopRequest
from oneshot.types import EvalRow

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
    files: Mapping[str, str] | None = None,
) -> list[EvalRow]:
    """Measure a task with the weights of `setup`, and record it as `asked.under(checkpoint)`; rows by problem, sample.

    What is finished is read, and what is there under another grader is graded by this one; what was begun is continued.
    Of the configuration only seed, model and prompt limit are read: everything else is the protocol's.

    Args:
        setup: the loaded model.
        asked: the task as it is asked.
        store: a run folder, or that of a bare model.
        checkpoint: `base`, `checkpoint-12`.
        say: told in a sentence what a reader of the result should know.
        progress: a bar, lines or nothing.
        stop: the stop request of a training run, which then gets `Abandoned` instead of `Stopped`.
        files: what the model was loaded from (`model_files.digests`), to be recorded; None: not known.

    Raises:
        UsageError: E107 what is recorded under this name was sampled otherwise, E105 prompts too long for the model,
            E104 another process measures it.
        DataError: E301 a problem that cannot be asked, E305 a user's function failed.
        MachineError: E202 the disk is full; what was written is kept.
        Stopped: 130 after Ctrl-C, 75 after SIGTERM; what is finished is kept.
    """
    name, prompts = asked.under(checkpoint), _prompts(setup, asked)
    head = eval_work.head_of(setup, asked, prompts)
    finished = _finished(asked, store, checkpoint, head, say)
    if finished is not None:
        return finished
    with store.alone(asked.name, name, say):
        finished = _finished(asked, store, checkpoint, head, say)  # another process may have ended it in between
        if finished is not None:
            return finished
        if _bare(setup, asked) and not store.has_eval(asked.name, name):
            say(f"{setup.config.model.name} has no chat template: the prompt is the bare question")
        with Work(setup.eval_engine, store.partial(asked.name, name, head), progress=progress, stop=stop) as work:
            return _sampled(work, setup, asked, store, name, prompts, {**head, **({"files": files} if files else {})})


def _finished(
    asked: Asked, store: Evaluations, checkpoint: str, head: Mapping[str, Any], say: Say
) -> list[EvalRow] | None:
    """What is recorded, by this grader or, but for it, alike; None where something must be sampled."""
    name = asked.under(checkpoint)
    here = store.has_eval(asked.name, name)
    if not here and (other := asked_alike.of_other_grader(asked, store, name, head=head)):
        eval_records.take_over(asked, store, name, other, say=say)
    if not store.has_eval(asked.name, name):
        return None
    store.check_protocol(asked.name, name, asked_alike.read(asked, store, name)[0], head)
    rows = eval_records.recorded(asked, store, checkpoint, say=say)
    if rows is not None:
        store.partial_path(asked.name, name).unlink(missing_ok=True)  # of a kill between writing and removing
    return rows


def _sampled(
    work: Work,
    setup: Setup,
    asked: Asked,
    store: Evaluations,
    name: str,
    prompts: Sequence[tuple[int, ...]],
    head: Mapping[str, Any],
) -> list[EvalRow]:
    """Sample, grade and record; of a finished evaluation only the forced boxes are missing."""
    began, old, protocol = time.perf_counter(), dict[Key, Raw](), dict[str, Any]()
    if store.has_eval(asked.name, name):
        protocol, rows = asked_alike.read(asked, store, name)
        old = eval_records.responses_of(asked, rows)
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
    eval_records.write(asked, store, name, made, {**protocol, **asked_alike.without_model(asked)})
    work.record.remove()
    return made


def _prompts(setup: Setup, asked: Asked) -> list[tuple[int, ...]]:
    if asked.protocol.kind == LOGLIKELIHOOD:
        return [loglikelihood.pairs_of(setup.policy, problem)[0] for problem in asked.problems]
    return eval_work.prompts_of(setup, asked)


def _drawn(asked: Asked, partial: PartialEval) -> dict[Key, Raw]:
    """Every response that was sampled, by (problem, sample), in that order."""
    drawn = partial.get(SAMPLE)
    keys = [(i, s) for i in range(len(asked.problems)) for s in range(asked.protocol.samples)]
    return {(i, s): Raw(text=drawn[i, s][0], tokens=drawn[i, s][1], cut=drawn[i, s][2], sample=s) for i, s in keys}


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
    by, forced, rows = eval_records.graders_of(asked), work.record.get(FORCED), []
    for key, each in raw.items():
        work.pause()
        filled = replace(each, forced=forced[key][0]) if key in forced else each
        rows.append(by.row(asked.problems[key[0]], filled, annotate))
    return rows


def _bare(setup: Setup, asked: Asked) -> bool:
    """Whether the prompt is the question without a chat template, though nobody asked for that."""
    chat = bool(setup.policy.tokenizer.chat_template)
    return not chat and asked.render is None and asked.protocol.kind != LOGLIKELIHOOD
