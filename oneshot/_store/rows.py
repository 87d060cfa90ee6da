"""What is recorded, as flat rows and back: rollouts, evaluations, metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from oneshot._store.values import is_number
from oneshot.types import Completion, EvalRow, Group, Problem, Verdict


def rollout_rows(step: int, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """One row per response. How long the verdict took is left out: equal runs give equal files."""
    return [
        {
            "step": step,
            "group": group.id,
            "sample": sample,
            "problem_id": group.problem.id,
            "prompt": group.problem.prompt,
            "answer": group.problem.answer,
            "category": group.problem.category,
            "meta": group.problem.meta,
            "prompt_tokens": group.prompt_tokens,
            "tokens": completion.tokens,
            "logprobs": completion.logprobs,
            "text": completion.text,
            "finished": completion.finished,
            "reward": completion.reward,
            "correct": completion.verdict.correct if completion.verdict else None,
            "extracted": completion.verdict.extracted if completion.verdict else None,
            "method": completion.verdict.method if completion.verdict else None,
            "status": completion.verdict.status if completion.verdict else None,
            "policy_version": group.policy_version,
            **_said(completion.verdict),
        }
        for group in groups
        for sample, completion in enumerate(group.completions)
    ]


def _said(verdict: Verdict | None) -> dict[str, Any]:
    """Score and message, where there are any: a user's function gives them, and a failure its message."""
    if verdict is None:
        return {}
    score = {} if verdict.score is None else {"score": verdict.score}
    return score | ({"message": verdict.message} if verdict.message else {})


def groups_from_rows(rows: Iterable[Mapping[str, Any]]) -> list[Group]:
    """The groups behind `rollout_rows`, in the order recorded."""
    by_group: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_group.setdefault(row["group"], []).append(row)
    return [_group(members) for members in by_group.values()]


def _group(rows: Sequence[Mapping[str, Any]]) -> Group:
    first = rows[0]
    problem = Problem(
        id=first["problem_id"],
        prompt=first["prompt"],
        answer=first["answer"],
        category=first["category"],
        meta=first["meta"],
    )
    return Group(
        id=first["group"],
        problem=problem,
        prompt_tokens=tuple(first["prompt_tokens"]),
        completions=tuple(_completion(row) for row in sorted(rows, key=lambda row: int(row["sample"]))),
        policy_version=first["policy_version"],
    )


def _completion(row: Mapping[str, Any]) -> Completion:
    verdict = None
    if row["method"] is not None:
        verdict = Verdict(
            correct=row["correct"],
            extracted=row["extracted"],
            method=row["method"],
            status=row["status"],
            score=row.get("score"),
            message=row.get("message", ""),
        )
    return Completion(
        tokens=tuple(row["tokens"]),
        # JSON has no NaN; a log-probability that was not finite is null in the file.
        logprobs=tuple(math.nan if value is None else value for value in row["logprobs"]),
        text=row["text"],
        finished=row["finished"],
        reward=row["reward"],
        verdict=verdict,
    )


def eval_rows(rows: Iterable[Mapping[str, Any]]) -> list[EvalRow]:
    """Graded responses; keys that a later version may have added are passed over."""
    known = {field.name for field in fields(EvalRow)}
    return [EvalRow(**{key: value for key, value in row.items() if key in known}) for row in rows]


def metric_rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`last_attempts` of the rows that have a step; an older version's without an attempt are of the first."""
    known = [row for row in rows if is_number(row.get("step"))]
    return last_attempts({**row, "step": int(row["step"]), "attempt": _whole(row.get("attempt"))} for row in known)


def _whole(value: object) -> int:
    return int(value) if is_number(value) else 0


def last_attempts(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per step in step order: the last attempt's, and within an attempt the last written."""
    chosen: dict[int, dict[str, Any]] = {}
    for row in rows:
        earlier = chosen.get(row["step"])
        if earlier is None or row["attempt"] >= earlier["attempt"]:
            chosen[row["step"]] = row
    return [chosen[step] for step in sorted(chosen)]
