"""Results as a log of Inspect (inspect.aisi.org.uk): an `.eval` file that `inspect view` and its dataframes open.

The log is built as plain data, which needs no package; `inspect-ai` (the extra `inspect`) checks and writes it.
Tried with inspect-ai 0.3.285.
"""

from __future__ import annotations

import importlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from oneshot.data.tasks.task import CHOICES
from oneshot.errors import MachineError
from oneshot.export.recorded import Recorded, Say, clean, digest, file_name, mean, stamp, stderr
from oneshot.types import EvalRow

_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""Ids that may name an entry of the archive as they are: no part starts with a dot."""


def package() -> Any:
    """`inspect_ai.log`. `MachineError` E204 with the line that installs it."""
    try:
        return importlib.import_module("inspect_ai.log")
    except ImportError as error:
        raise MachineError(
            f"the export to Inspect needs the package 'inspect-ai': {error}",
            code="E204",
            tries=("pip install 'oneshot-rlvr[inspect]'", "the same command with --export lm-eval"),
        ) from error


def export(evaluations: Sequence[Recorded], date: datetime, say: Say) -> dict[str, bytes]:
    """`inspect/<date>_<task>_<checkpoint>_<id>.eval`, one log for each task and checkpoint."""
    inspect = package()
    contents: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, found in enumerate(evaluations):
            log = log_of(found, date)
            target = Path(folder) / f"{number}.eval"
            inspect.write_eval_log(inspect.EvalLog.model_validate(log), str(target))
            # Inspect finds time, task and id in the parts between underscores.
            parts = [file_name(part).replace("_", "-") for part in (found.name, found.checkpoint)]
            name = "_".join([f"{stamp(date)}+00-00", *parts, log["eval"]["task_id"]])
            contents[f"inspect/{name}.eval"] = target.read_bytes()
    return contents


def log_of(found: Recorded, date: datetime) -> dict[str, Any]:
    """An `EvalLog` as plain data. Nothing in it is drawn at random: ids follow from what is recorded and the date."""
    created = date.astimezone(UTC).isoformat(timespec="seconds")
    identity = digest(found.name, found.model, found.protocol.get("weights", ""), created)
    epochs = max(map(len, found.problems.values()))
    samples = [
        _sample(found, rows, number, identity) for rows in found.problems.values() for number in range(len(rows))
    ]
    log = {
        "version": 2,
        "status": "success",
        "eval": _spec(found, created, identity, epochs),
        "plan": {"name": "plan", "steps": [{"solver": "oneshot", "params": {}}], "config": _generation(found)},
        "results": {
            "total_samples": len(samples),
            "completed_samples": len(samples),
            "scores": [_score(found, name) for name in found.graded],
            "metadata": {key: found.results[key] for key in _NUMBERS if key in found.results},
        },
        "stats": {"started_at": created, "completed_at": created},
        "samples": samples,
        "reductions": [_reduction(found, name) for name in found.graded],
    }
    cleaned: dict[str, Any] = clean(log)
    return cleaned


_NUMBERS = ("correct", "n", "samples", "value", "ci_low", "ci_high", "method", "floor", "room", "pass_at_k", "maj_at_k")
"""What of results.json goes along as it is."""


def _spec(found: Recorded, created: str, identity: str, epochs: int) -> dict[str, Any]:
    protocol = found.protocol
    model_args = {key: protocol[key] for key in ("revision", "weights", "dtype", "eos_ids") if protocol.get(key)}
    libraries: Mapping[str, Any] = protocol.get("libraries", {})
    asked = ("kind", "samples", "temperature", "max_new_tokens", "suffix", "system", "grader", "grader_version")
    return {
        "eval_id": identity[:22],
        "run_id": digest("run", identity)[:22],
        "created": created,
        "task": found.name,
        "task_id": digest("task", identity)[:22],
        "task_version": 0,
        "task_display_name": found.task.title,
        "task_args": {key: protocol[key] for key in asked if key in protocol},
        "dataset": {
            "name": found.task.name,
            "location": str(found.data.get("origin", "")),
            "samples": len(found.problems),
            "sample_ids": [sample_id(each) for each in found.problems],
            "shuffled": False,
        },
        "model": found.model,
        "model_generate_config": _generation(found),
        "model_args": model_args,
        "config": {"epochs": epochs, "epochs_reducer": ["mean"], "limit": found.limit or None},
        "packages": {name: str(version) for name, version in libraries.items()},
        "metadata": {"checkpoint": found.checkpoint, "protocol": dict(protocol)},
    }


def _generation(found: Recorded) -> dict[str, Any]:
    """Compared continuations have none."""
    if found.likelihood:
        return {}
    protocol = found.protocol
    told = {"temperature": protocol.get("temperature"), "max_tokens": protocol.get("max_new_tokens")}
    return told | {"seed": protocol.get("seed"), "system_message": protocol.get("system") or None}


def _score(found: Recorded, name: str) -> dict[str, Any]:
    """Mean over problems of the mean over responses, as Inspect's `accuracy` after its reducer `mean`."""
    shares = found.shares(found.graded[name])
    accuracy: dict[str, Any] = {"name": "accuracy", "value": mean(shares)}
    if name == found.grader:
        shown = ("ci_low", "ci_high", "method", "level")
        accuracy["metadata"] = {key: found.results[key] for key in shown if key in found.results}
    # Inspect's own standard error of a single sample is 0 too.
    error = {"name": "stderr", "value": stderr(shares) or 0.0}
    return {
        "name": name,
        "scorer": name,
        "reducer": "mean",
        "scored_samples": len(shares),
        "unscored_samples": 0,
        "metrics": {"accuracy": accuracy, "stderr": error},
    }


def _reduction(found: Recorded, name: str) -> dict[str, Any]:
    shares = found.shares(found.graded[name])
    samples = [
        {"value": share, "sample_id": sample_id(each)} for each, share in zip(found.problems, shares, strict=True)
    ]
    return {"scorer": name, "reducer": "mean", "samples": samples}


def _sample(found: Recorded, rows: Sequence[EvalRow], number: int, identity: str) -> dict[str, Any]:
    """One response: an epoch of its problem, counted from 1."""
    row = rows[number]
    uuid = digest(identity, row.id, number)[:22]
    answered = {
        "id": f"{uuid}a",
        "role": "assistant",
        "content": row.response,
        "source": "generate",
        "model": found.model,
    }
    known = found.known(row)
    stopped = "unknown" if known["cut"] is None else "max_tokens" if row.cut else "stop"
    choices = [str(choice.get("text", "")) for choice in row.meta.get(CHOICES, ())]
    return {
        "id": sample_id(row.id),
        "epoch": number + 1,
        "input": row.prompt,
        "choices": choices or None,
        "target": row.answer,
        "messages": [{"id": f"{uuid}q", "role": "user", "content": row.prompt, "source": "input"}, answered],
        "output": {
            "model": found.model,
            "choices": [{"message": answered, "stop_reason": stopped}],
            "completion": row.response,
        },
        "scores": {name: _verdict(found, row, name) for name in found.graded},
        "metadata": {
            **{key: value for key, value in row.meta.items() if key != CHOICES},
            "problem_id": row.id,
            "category": row.category,
            **known,
        },
        "uuid": uuid,
    }


def _verdict(found: Recorded, row: EvalRow, name: str) -> dict[str, Any]:
    """A grade. The extracted answer is that of the grade that counts; what another one read is not recorded."""
    value = {"value": "C" if found.graded[name](row) else "I"}
    if name != found.grader:
        return value
    return {**value, "answer": row.extracted, "explanation": f"status: {row.status}"}


def sample_id(problem: str) -> str:
    """A problem's id where it can name an entry of an archive, else a name made from it (it is in the metadata too)."""
    return problem if _PLAIN.fullmatch(problem) else file_name(problem)
