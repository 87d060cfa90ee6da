"""Which tasks may be averaged as independent ones: no problem may stand in two of them. Loads no torch.

Example: `independent([Member(name="arc_easy", ids=ids), Member(name="arc_easy-loglikelihood", ids=ids)])` is False.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

HASH = 8
"""Hex digits that another protocol, limit, grader or data put behind a task's name."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One task of an average, as far as it matters whether another one holds the same problems."""

    name: str
    """Its name, or its folder in evals/."""
    ids: frozenset[str]
    """Of its problems."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """`digest` of the rows that were loaded, where it is recorded (`protocol.data` of results.json)."""


def independent(tasks: Sequence[Member]) -> bool:
    """Whether no problem stands in two of these tasks, so that their errors are independent.

    Two tasks share problems where they were loaded from equal rows (a digest does not depend on ids or prompts), or
    where they are one task under two protocols or limits (`arc_easy`, `arc_easy-loglikelihood`) and have ids in common.
    Prompts are not looked at: another protocol has another prompt for the same problem.
    """
    return not any(_share(a, b) for a, b in combinations(tasks, 2))


def _share(a: Member, b: Member) -> bool:
    digests = (a.data.get("digest"), b.data.get("digest"))
    if digests[0] and digests[0] == digests[1]:
        return True
    return base_name(a.name) == base_name(b.name) and bool(a.ids & b.ids)


def stem(task: str) -> str:
    """A task's name without the eight hex digits that another protocol, limit, grader or data gave it."""
    head, dash, tail = task.rpartition("-")
    return head if dash and len(tail) == HASH and set(tail) <= set("0123456789abcdef") else task


def base_name(task: str) -> str:
    """The same without a named protocol: `arc_easy` of `arc_easy-loglikelihood` and of `arc_easy-0123abcd`."""
    from oneshot.data.tasks.suites import TASKS

    name = stem(task)
    head, _, protocol = name.rpartition("-")
    return head if head in TASKS.names() and protocol in TASKS.build(head).protocols else name


def as_published(name: str, protocol: Mapping[str, Any]) -> bool:
    """Whether a task was asked, whole, as its own protocol has it, but for the number of samples.

    A folder of the task's bare name is that. Of one with eight hex digits the recorded protocol decides. A greedy task
    that is sampled several times must have a temperature, so there that may differ too.
    """
    from oneshot.data.tasks.suites import TASKS

    known = stem(name)
    if known == name:
        return True
    if known not in TASKS.names():
        return False
    task, data = TASKS.build(known), dict(protocol.get("data") or {})
    if not data or data.get("limit") or (task.digest and data.get("digest") != task.digest):
        return False
    own = {key: value for key, value in task.protocol.as_dict().items() if key != "samples"}
    if protocol.get("samples", 1) > 1 and not task.protocol.temperature:
        del own["temperature"]
    return all(key in protocol and protocol[key] == value for key, value in own.items())
