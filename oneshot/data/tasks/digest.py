"""The pin of a task is our own: how many rows it has, and a sha256 of them that does not depend on the file.

A canonical row is the JSON list [question, reference] (of a choice task [question, right letter, [text of each
choice]]) without spaces and in ASCII; a row ends with a line feed; rows stand in order. Neither the format of the file
nor other columns nor ids can change the digest, so a copy of the Hub with other ids has the same one where texts and
order are the same. Our own wording around a question is not part of it either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from oneshot.data.tasks.task import CHOICES, QUESTION
from oneshot.types import Problem


def digest_of(problems: Iterable[Problem]) -> str:
    """sha256 (hex) of the canonical rows."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(canonical(problem))
    return digest.hexdigest()


def canonical(problem: Problem) -> bytes:
    """One canonical row, with its line feed."""
    row: list[object] = [problem.meta.get(QUESTION, problem.prompt), problem.answer]
    if CHOICES in problem.meta:
        row.append([choice["text"] for choice in problem.meta[CHOICES]])
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
