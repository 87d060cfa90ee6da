"""Which problems a configuration names: a text, a built-in example, rows of a file, or a Hub data set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from oneshot.config.schema import DataConfig
from oneshot.data.hub import hub_rows
from oneshot.data.readers import bad_row, read_rows, to_problems
from oneshot.data.rows import JSONL, RawRow, jsonl_rows
from oneshot.errors import UsageError
from oneshot.registry import nearest
from oneshot.types import Problem

BUILTIN = "builtin"
"""The source that stands for the built-in task; `data/tasks/builtin.py` makes its problems."""

_INSTEAD = ("--data FILE.jsonl --data.index 0   (a copy of it)", "--data pi1   (built in)")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_FILES = (*JSONL, ".parquet", ".json", ".csv", ".tsv", ".txt")


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Problems and the columns they came from; `columns` is empty where there was no file."""

    problems: list[Problem]
    columns: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[Problem, ...] = ()
    """Rows of a pool without a reference: nothing can match it, so they cannot be trained on."""


def resolve(data: DataConfig, *, offline: bool = False) -> list[Problem]:
    """The problems to train on; `load` without the columns."""
    return load(data, offline=offline).problems


def load(data: DataConfig, *, offline: bool = False) -> Loaded:
    """The problems to train on: one for a text, a built-in example or an index, else every row with a reference.

    None is merged. Rows without a reference are left out where others have one; a single example must have its own.

    Raises:
        UsageError: E103 an index out of range, E105 contradicting or missing settings, E106 no such file.
        DataError: E301 an empty question, no reference (of a pool: in no row), or a bad row.
        MachineError: E203, E204 for a Hub data set that cannot be read.
    """
    if data.example or data.answer:
        return Loaded(problems=[_typed_in(data)])
    if not data.source:
        raise UsageError(
            "no example to train on was given.",
            code="E105",
            tries=('--example "What is 17 + 25?" --answer 42', "--data FILE.jsonl --data.index 0", "--data pi1"),
        )
    if data.source == BUILTIN:
        raise UsageError(
            "the built-in task chooses its own example; it is no pool of rows.",
            code="E105",
            tries=("oneshot demo", "--data pi1", "--data FILE.jsonl --data.index 0"),
        )
    if data.source in examples():
        only = [examples()[data.source]]
        return Loaded(problems=only if data.index == -1 else [_pick(only, data)])
    loaded = load_source(data.source, offline=offline)
    if data.index == -1:
        return _with_references(loaded, data.source)
    return Loaded(problems=[_pick(loaded.problems, data)], columns=loaded.columns)


def _with_references(loaded: Loaded, source: str) -> Loaded:
    """The rows that have a reference; `DataError` E301 where none has."""
    kept = [problem for problem in loaded.problems if problem.answer]
    if not kept:
        column, first = loaded.columns["answer"], loaded.problems[0]
        rows = "" if len(loaded.problems) == 1 else f" in all {len(loaded.problems)} rows"
        rule = "An empty reference can never match, so it cannot be trained on."
        raise bad_row(source, first.meta["line"], f"the reference answer ({column}) is empty{rows}", rule)
    left_out = tuple(problem for problem in loaded.problems if not problem.answer)
    return Loaded(problems=kept, columns=loaded.columns, left_out=left_out)


def load_source(source: str, *, allow_empty_answer: bool = True, offline: bool = False) -> Loaded:
    """Every problem of a file or a Hub data set, as for an evaluation: rows with an empty reference stay (and fail).

    Raises:
        UsageError, DataError, MachineError: as `load`.
    """
    path = Path(source).expanduser()
    if path.exists() or path.suffix in _FILES or path.is_absolute() or source.startswith("."):
        rows = read_rows(path)
    elif _HUB_ID.fullmatch(source):
        rows = hub_rows(source, offline=offline, tries=_INSTEAD)
    else:
        known = sorted([*examples(), BUILTIN])
        raise UsageError(
            f"{source!r} is neither a file nor a built-in example.{nearest(source, known)}",
            code="E106",
            tries=("--data FILE.jsonl", *(f"--data {name}" for name in sorted(examples()))),
        )
    problems, columns = to_problems(rows, source, allow_empty_answer=allow_empty_answer)
    return Loaded(problems=problems, columns=columns)


def examples() -> dict[str, Problem]:
    """The built-in examples by name, from the package's `recipes/paper/examples.jsonl`."""
    resource = files("oneshot").joinpath("recipes", "paper", "examples.jsonl")
    if not resource.is_file():
        return {}
    problems, _ = to_problems(jsonl_rows(resource.read_bytes(), resource.name), resource.name)
    return {problem.id: problem for problem in problems}


def has_suffix(prompt: str, suffix: str) -> bool:
    """Whether a question already ends with the suffix, white space at the ends aside (the paper's rows carry it)."""
    return bool(suffix.strip()) and prompt.rstrip().endswith(suffix.strip())


def _typed_in(data: DataConfig) -> Problem:
    """The problem of `--example` and `--answer`."""
    if data.source and data.source != BUILTIN:
        raise UsageError(
            f"--data {data.source} and --example are both given; train on one of them.",
            code="E105",
            tries=('--example "What is 17 + 25?" --answer 42', f"--data {data.source}"),
        )
    if not data.example.strip() or not data.answer.strip():
        given, missing = ("--answer", "--example") if data.answer.strip() else ("--example", "--answer")
        raise UsageError(
            f"{given} needs {missing}: a question without its reference answer cannot be graded.",
            code="E105",
            tries=('--example "What is 17 + 25?" --answer 42',),
        )
    row = RawRow(1, {"prompt": data.example, "answer": data.answer, "id": "example"})
    return to_problems([row], "--example")[0][0]


def _pick(problems: list[Problem], data: DataConfig) -> Problem:
    """Row `data.index` of the problems, which must have a reference."""
    last = len(problems) - 1
    if not 0 <= data.index <= last:
        raise UsageError(
            f"--data.index {data.index} is out of range: {data.source} has {len(problems)} rows, 0 to {last}.",
            code="E103",
            tries=(f"--data {data.source} --data.index {last}",),
        )
    problem = problems[data.index]
    if not problem.answer:
        rule = "An empty reference can never match, so it cannot be trained on."
        raise bad_row(data.source, problem.meta["line"], f"row {data.index} has an empty reference answer", rule)
    return problem
