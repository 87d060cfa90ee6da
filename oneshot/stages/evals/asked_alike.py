"""Whether what is recorded was asked as it is asked now; names of folders alone do not say so. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot._store import files, names, sample_record
from oneshot._store.evaluations import KIND
from oneshot._store.sample_record import aside
from oneshot.data.tasks.task import LOGLIKELIHOOD
from oneshot.errors import UsageError
from oneshot.record import Evaluations
from oneshot.rewards.version import grader_version
from oneshot.stages import graders
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.averages import stem
from oneshot.types import EvalRow

_PROTOCOL = ("kind", "samples", "temperature", "max_new_tokens", "suffix", "grader", "system")


def without_model(asked: Asked) -> dict[str, Any]:
    """The part of the protocol that needs no model."""
    likelihood = asked.protocol.kind == LOGLIKELIHOOD
    described = {"grader": ""} if likelihood else graders.described(asked.verify)
    version = "" if likelihood else grader_version(asked.protocol.grader)
    return {**asked.protocol.as_dict(), **described, "grader_version": version, "data": dict(asked.data)}


def read(asked: Asked, store: Evaluations, name: str) -> tuple[dict[str, Any], list[EvalRow]]:
    """Protocol and rows of a finished evaluation. `UsageError` E107 where it is not what is asked."""
    results, rows = store.read_eval(asked.name, name)
    folder, protocol = store.eval_dir(asked.name, name), dict(results.get("protocol") or {})
    check(folder, protocol, without_model(asked), whole=True)
    check_rows(folder, asked, rows)
    return protocol, rows


def of_other_grader(
    asked: Asked,
    store: Evaluations,
    name: str,
    *,
    head: Mapping[str, Any] | None = None,
    seed: int = 0,
    files_now: Mapping[str, str] | None = None,
) -> str:
    """The folder in evals/ of the same task, asked alike but for the grader; empty where there is none.

    Args:
        asked: what is asked; nothing of it is recorded.
        store: where it would be.
        name: of the checkpoint in evals/<task>/.
        head: what is known of the loaded model (`eval_work.head_of`): then all of it must be the same.
        seed: without a model, of what is sampled.
        files_now: without a model, its files (`model_files.digests`).
    """
    if asked.protocol.kind == LOGLIKELIHOOD or store.partial_path(asked.name, name).exists():
        return ""
    now, own = without_model(asked), names.file_name(asked.name)
    wanted = _but_grader(_shown(now))
    for task in sorted(path.name for path in store.path.glob("evals/*")):
        if task == own or stem(task) != stem(own) or not store.has_eval(task, name):
            continue
        before = store.protocol_of(task, name)
        if _but_grader(_shown(before)) != wanted or before.get("grader", "") in ("", now["grader"]):
            continue
        known = head or {"files": files_now or {}, **({"seed": seed} if asked.protocol.temperature else {})}
        ids = [(row.id, row.sample) for row in store.read_eval(task, name)[1]]
        if all(before.get(key, {}) == value for key, value in files.plain(known).items()) and ids == _ids(asked):
            return task
    return ""


def _but_grader(shown: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in shown.items() if name != "grader"}


def _ids(asked: Asked) -> list[tuple[str, int]]:
    """Of the responses that are asked for, in their order."""
    return [(problem.id, s) for problem in asked.problems for s in range(asked.protocol.samples)]


def check(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], *, whole: bool) -> None:
    """Refuse a recorded evaluation of other problems or of another protocol, such as a dev set's in a task's name.

    Args:
        folder: of the evaluation.
        before: the recorded `protocol` of results.json.
        now: the same, of what is asked.
        whole: whether an entry that is not recorded counts as different; results of a dev set had fewer once.

    Raises:
        UsageError: E107 with what differs.
    """
    old, new = _shown(before), _shown(now)
    if not whole:
        new = {name: value for name, value in new.items() if name in old}
    sample_record.check_same(folder, KIND, {name: value for name, value in old.items() if name in new}, new)


def _shown(protocol: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: protocol[name] for name in _PROTOCOL if name in protocol}
    data = protocol.get("data") or {}
    told |= {"data's digest": str(data["digest"])[:16]} if "digest" in data else {}
    told |= {"limit": data["limit"]} if "limit" in data else {}
    plain: dict[str, Any] = files.plain(told)
    return plain


def check_rows(folder: Path, asked: Asked, rows: Sequence[EvalRow]) -> None:
    """Refuse rows that are not those of the problems asked, one for each sample. `UsageError` E107.

    The digest of the data is of texts and answers only; results are paired by the ids.
    """
    ids, found = _ids(asked), [(row.id, row.sample) for row in rows]
    if found == ids:
        return
    differ = next(
        (f": {a[0]!r} stands where {b[0]!r} is asked" for a, b in zip(found, ids, strict=False) if a != b), ""
    )
    raise UsageError(
        f"{folder} holds {len(rows)} responses whose ids are not those of the {len(asked.problems)} problems of "
        f"{asked.name}{differ}.",
        code="E107",
        tries=(aside(folder),),
        kept="Nothing was sampled; the record is as it was.",
    )
