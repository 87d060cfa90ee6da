r"""Problems out of rows, and the columns they came from. Strict: nothing is guessed, skipped or dropped.

Columns, in order of preference (the one that is there is used for the whole file, and the caller prints which):

    prompt     prompt (text, or verl's chat messages), problem, question
    answer     answer, ground_truth, reward_model.ground_truth (verl), solution (its last \boxed{})
    id         id, index, unique_id, extra_info.index (verl); else a hash of the question
    category   subject, category, type
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from oneshot.boxes import boxes
from oneshot.data.rows import RawRow, bad_row, read_rows
from oneshot.types import Problem

__all__ = ["COLUMNS", "RawRow", "bad_row", "describe", "hash_id", "merge_equal", "read_rows", "to_problems"]

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "prompt": ("prompt", "problem", "question"),
    "answer": ("answer", "ground_truth", "reward_model.ground_truth", "solution"),
    "id": ("id", "index", "unique_id", "extra_info.index"),
    "category": ("subject", "category", "type"),
}
"""What we need -> the columns it may come from; a dot looks into a nested column."""


def to_problems(
    rows: Sequence[RawRow], source: str, *, allow_empty_answer: bool = False
) -> tuple[list[Problem], Mapping[str, str]]:
    r"""One problem a row, in order, and the columns they came from (`{"prompt": "problem", ...}`).

    Ids are unique: the second row with the same one gets `-2`. Other plain columns are kept in `meta`, beside
    `source` and `line`.

    Args:
        rows: as `read_rows` gives them.
        source: the file's name, for messages and `meta`.
        allow_empty_answer: keep rows whose reference is empty (it never matches). Right for an evaluation or a pool
            to choose from, wrong for the example to train on.

    Raises:
        DataError: E301 with the line of a row that lacks a question or an answer, or holds one of the wrong type.
    """
    columns = _columns(rows, source)
    problems: list[Problem] = []
    seen: dict[str, int] = {}
    for row in rows:
        prompt, answer = _prompt(row, columns["prompt"], source), _answer(row, columns["answer"], source)
        if not answer and not allow_empty_answer:
            rule = "An empty reference can never match, so it cannot be trained on."
            raise bad_row(source, row.line, f"the reference answer ({columns['answer']}) is empty", rule)
        identity = _label(row, columns.get("id", "")) or hash_id(prompt)
        meta = {"source": source, "line": row.line} | _rest(row, columns)
        category = _label(row, columns.get("category", ""))
        identity = _unused(identity, seen)
        problems.append(Problem(id=identity, prompt=prompt, answer=answer, category=category, meta=meta))
    return problems, columns


def describe(columns: Mapping[str, str]) -> str:
    r"""The mapping as one line for the user: `prompt <- problem, answer <- solution (last \boxed{})`."""
    note = {"solution": r"solution (last \boxed{})"}
    return ", ".join(f"{ours} <- {note.get(theirs, theirs)}" for ours, theirs in columns.items())


def hash_id(prompt: str) -> str:
    """The id of a question that has none; equal questions share it."""
    return "p-" + hashlib.sha256(prompt.encode()).hexdigest()[:12]


def merge_equal(problems: Iterable[Problem]) -> tuple[list[Problem], int]:
    """Rows with equal prompt and answer merged into the first of them, and how many rows went away.

    The paper's files hold one example 128 times; `meta["copies"]` keeps that number where it is above 1.
    """
    first: dict[tuple[str, str], Problem] = {}
    copies: dict[tuple[str, str], int] = {}
    for problem in problems:
        key = (problem.prompt, problem.answer)
        first.setdefault(key, problem)
        copies[key] = copies.get(key, 0) + 1
    merged = [p if copies[k] == 1 else replace(p, meta={**p.meta, "copies": copies[k]}) for k, p in first.items()]
    return merged, sum(copies.values()) - len(merged)


def _get(row: RawRow, column: str) -> Any:
    """The value of a column, None where it is missing; a dot looks into a nested column."""
    value: Any = row.values
    for part in column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _columns(rows: Sequence[RawRow], source: str) -> dict[str, str]:
    """For each thing we need, the first known column that any row has a value in, else the first that is there."""
    chosen: dict[str, str] = {}
    for ours, candidates in COLUMNS.items():
        filled = (c for c in candidates if any(_get(row, c) is not None for row in rows))
        named = (c for c in candidates if any(c in row.values for row in rows))
        found = next(filled, None) or next(named, None)
        if found:
            chosen[ours] = found
        elif ours in ("prompt", "answer"):
            there = ", ".join(rows[0].values) if rows else "none"
            rule = f"A {ours} is read from one of: {', '.join(candidates)}."
            raise bad_row(source, rows[0].line if rows else 1, f"no column for the {ours} (columns: {there})", rule)
    return chosen


def _prompt(row: RawRow, column: str, source: str) -> str:
    value = _get(row, column)
    if isinstance(value, list):
        turns = [m.get("content") for m in value if isinstance(m, dict) and m.get("role") != "system"]
        if len(turns) != 1 or len([m for m in value if isinstance(m, dict)]) != len(value):
            rule = "A prompt of chat messages must hold exactly one user message."
            raise bad_row(source, row.line, f"{column} holds {len(turns)} messages that are no system message", rule)
        value = turns[0]
    if not isinstance(value, str) or not value.strip():
        what = "is empty" if value is None or value == "" or isinstance(value, str) else f"is {type(value).__name__}"
        raise bad_row(source, row.line, f"the question ({column}) {what}", "It must be text.")
    return _encodable(value, row, column, source)


def _answer(row: RawRow, column: str, source: str) -> str:
    r"""The reference as text, empty where there is none; of a solution the content of its last `\boxed{}`."""
    value = _get(row, column)
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        rule = "It must be text or a number."
        raise bad_row(source, row.line, f"the reference answer ({column}) is a {type(value).__name__}", rule)
    text = (json.dumps(value) if isinstance(value, (bool, float)) else str(value)).strip()
    if column == "solution" and text:
        found = boxes(text)
        if not found:
            rule = "The answer of a solution is read from its last box."
            raise bad_row(source, row.line, r"the solution has no complete \boxed{}", rule)
        text = found[-1].content.strip()
    return _encodable(text, row, column, source)


def _encodable(text: str, row: RawRow, column: str, source: str) -> str:
    """`text`, unless it holds half of a surrogate pair, which no file and no tokenizer can take."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise bad_row(source, row.line, f"{column} holds half a surrogate pair", "It must be valid text.") from error
    return text


def _label(row: RawRow, column: str) -> str:
    """An id or a category as text; empty where there is none."""
    value = _get(row, column) if column else None
    return str(value).strip().encode(errors="replace").decode() if isinstance(value, (str, int, float)) else ""


def _rest(row: RawRow, columns: Mapping[str, str]) -> dict[str, Any]:
    """The plain columns that were not used, for provenance: text, whole numbers, true/false and finite numbers."""
    used = {name.split(".")[0] for name in columns.values()} | {"source", "line", *COLUMNS["answer"]}
    rest = {name: value for name, value in row.values.items() if name not in used}
    return {n: v for n, v in rest.items() if isinstance(v, (str, int)) or (isinstance(v, float) and math.isfinite(v))}


def _unused(identity: str, seen: dict[str, int]) -> str:
    """`identity`, or with the first of `-2`, `-3`, ... that makes it unique; remembered in `seen`."""
    name = identity
    while name in seen:
        seen[identity] += 1
        name = f"{identity}-{seen[identity]}"
    seen[name] = 1
    return name
