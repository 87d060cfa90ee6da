"""Results in the files of EleutherAI's lm-evaluation-harness: `results_<date>.json` and `samples_<task>_<date>.jsonl`.

Written after how the harness 0.4 keeps its own (`evaluator.py`, `loggers/evaluation_tracker.py`), so that what reads
those reads these. The numbers are ours: our prompts, answer extraction and graders, not the harness's tasks.
`docs/exports.md` lists the differences; `model_source` is `oneshot-rlvr`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from oneshot._store import files
from oneshot.data.tasks.task import CHOICES
from oneshot.export.recorded import NORMED, Recorded, Say, clean, file_name, mean, stamp, stderr
from oneshot.types import EvalRow

SOURCE = "oneshot-rlvr"
NOTE = "Prompts, answer extraction and grading are oneshot-rlvr's, not those of the harness's tasks."
UNKNOWN = "N/A"
"""What the harness itself writes for a standard error that there is none of."""


def export(evaluations: Sequence[Recorded], date: datetime, say: Say) -> dict[str, bytes]:
    """`lm-eval/<model>/...`: one results file for each checkpoint, and the responses of each of its tasks."""
    at: dict[str, list[Recorded]] = {}
    for found in evaluations:
        at.setdefault(found.model, []).append(found)
    contents: dict[str, bytes] = {}
    for model, tasks in at.items():
        folder = f"lm-eval/{file_name(model)}"
        samples = {found.name: samples_of(found) for found in tasks}
        body = clean(results_of(tasks, samples, date))
        contents[f"{folder}/results_{stamp(date)}.json"] = files.dumps(body, indent=2).encode() + b"\n"
        for name, rows in samples.items():
            contents[f"{folder}/samples_{file_name(name)}_{stamp(date)}.jsonl"] = files.json_lines(rows)
    return contents


def results_of(
    tasks: Sequence[Recorded], samples: Mapping[str, Sequence[Mapping[str, Any]]], date: datetime
) -> dict[str, Any]:
    """The results file of one model."""
    first = tasks[0].protocol
    libraries: Mapping[str, Any] = first.get("libraries", {})
    shown = {key: first[key] for key in ("revision", "weights", "dtype") if first.get(key)}
    return {
        "results": {found.name: _metrics(found) for found in tasks},
        "group_subtasks": {found.name: [] for found in tasks},
        "configs": {found.name: _config(found) for found in tasks},
        "versions": {found.name: found.protocol.get("grader_version") or UNKNOWN for found in tasks},
        "n-shot": {found.name: 0 for found in tasks if not found.variant},
        "higher_is_better": {found.name: dict.fromkeys(_names(found), True) for found in tasks},
        "n-samples": {
            found.name: {
                "original": int(found.data.get("rows") or len(found.problems)),
                "effective": len(found.problems),
            }
            for found in tasks
        },
        "config": {
            "model": SOURCE,
            "model_args": ",".join(f"{key}={value}" for key, value in {"pretrained": tasks[0].model, **shown}.items()),
            "model_revision": shown.get("revision"),
            "model_dtype": shown.get("dtype"),
            "batch_size": None,
            "device": None,
            "limit": max((found.limit for found in tasks), default=0) or None,
            "gen_kwargs": None,
            "random_seed": first.get("seed"),
        },
        "git_hash": None,
        "date": date.timestamp(),
        "transformers_version": libraries.get("transformers"),
        "oneshot_version": libraries.get("oneshot"),
        "oneshot_note": NOTE,
        "task_hashes": {name: _task_hash(rows) for name, rows in samples.items()},
        "model_source": SOURCE,
        "model_name": tasks[0].model,
        "model_name_sanitized": file_name(tasks[0].model),
        "system_instruction": first.get("system") or None,
        "total_evaluation_time_seconds": str(sum(float(f.protocol.get("seconds") or 0.0) for f in tasks)),
    }


def _names(found: Recorded) -> list[str]:
    return ["acc", NORMED] if found.likelihood else ["exact_match"]


def _metrics(found: Recorded) -> dict[str, Any]:
    """`metric,filter` -> value, and its standard error; the filter names the grade, `none` is the one that counts."""
    told: dict[str, Any] = {"alias": found.name, "sample_len": len(found.problems)}
    for name, grade in found.graded.items():
        metric, kind = "acc" if found.likelihood else "exact_match", "none"
        if found.likelihood and name == NORMED:
            metric = NORMED
        elif name != found.grader:
            kind = name
        shares = found.shares(grade)
        error = stderr(shares)
        told[f"{metric},{kind}"] = mean(shares)
        told[f"{metric}_stderr,{kind}"] = UNKNOWN if error is None else error
    return told


def _config(found: Recorded) -> dict[str, Any]:
    protocol, hub = found.protocol, found.task.hub
    told: dict[str, Any] = {
        "task": found.name,
        "dataset_path": hub.name if hub else str(found.data.get("origin", "")),
        "dataset_name": (hub.config or None) if hub else None,
        "test_split": hub.split if hub else None,
        "output_type": "multiple_choice" if found.likelihood else "generate_until",
        "repeats": int(found.results.get("samples", 1)),
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in _names(found)
        ],
        "metadata": {"title": found.task.title, "checkpoint": found.checkpoint, "protocol": dict(protocol)},
    }
    if not found.likelihood:
        told["generation_kwargs"] = _generation(protocol)
    return told


def _generation(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """How it was sampled; of stored responses nothing is known."""
    if "temperature" not in protocol:
        return {}
    temperature = float(protocol["temperature"])
    limit = protocol.get("max_new_tokens")
    return {"until": [], "max_gen_toks": limit, "do_sample": temperature > 0, "temperature": temperature}


def samples_of(found: Recorded) -> list[dict[str, Any]]:
    """One row a problem, in order."""
    return [clean(_sample(found, number, rows)) for number, rows in enumerate(found.problems.values())]


def _sample(found: Recorded, number: int, rows: Sequence[EvalRow]) -> dict[str, Any]:
    first = rows[0]
    choices: Sequence[Mapping[str, Any]] = first.meta.get(CHOICES, ())
    doc: dict[str, Any] = {"id": first.id, "question": first.prompt, "answer": first.answer, "category": first.category}
    if choices:
        doc["choices"] = [dict(choice) for choice in choices]
    told: dict[str, Any] = {"doc_id": number, "doc": doc, "target": first.answer}
    if found.likelihood:
        # Whether a continuation was the greedy one is not recorded.
        scored = [[str(value), UNKNOWN] for value in first.meta.get("loglikelihoods", ())]
        asked = [{"arg_0": first.prompt, "arg_1": choice["text"]} for choice in choices]
        told |= {"resps": [[pair] for pair in scored], "filtered_resps": scored}
        values = {"acc": float(first.correct), NORMED: float(bool(first.meta.get("correct_norm")))}
    else:
        asked = [{"arg_0": first.prompt, "arg_1": _generation(found.protocol)}]
        told |= {"resps": [[row.response for row in rows]], "filtered_resps": [[row.extracted for row in rows]]}
        values = {"exact_match": sum(row.correct for row in rows) / len(rows)}
    others = {name: [grade(row) for row in rows] for name, grade in found.graded.items() if name != found.grader}
    return {
        **told,
        "arguments": {f"gen_args_{i}": given for i, given in enumerate(asked)},
        "filter": "none",
        "metrics": list(values),
        "doc_hash": _hash(files.dumps(clean(doc), indent=2)),
        "prompt_hash": _hash(first.prompt),
        "target_hash": _hash(first.answer),
        **values,
        "oneshot": {
            "correct": [row.correct for row in rows],
            "status": [row.status for row in rows],
            "cut": [found.known(row)["cut"] for row in rows],
            "tokens": [found.known(row)["tokens"] for row in rows],
            **others,
        },
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _task_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    return _hash("".join(f"{row['doc_hash']}{row['prompt_hash']}{row['target_hash']}" for row in rows))
