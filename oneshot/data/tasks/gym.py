"""Any task of reasoning-gym by name: `gym:chain_sum`, `gym:chain_sum:size=50:seed=1:min_terms=2`. Extra `tasks`.

The library makes the problems and its own scorer grades them (`oneshot/rewards/gym.py`). A reference carries the key of
its entry, `12 [#7-1a2b3c4d]`, since the scorer reads the entry and a grader is given a reference alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.config.gym import GymSpec, key, make_dataset, marked, read_spec
from oneshot.data.rows import RawRow
from oneshot.data.tasks.task import Protocol, Task
from oneshot.types import Problem


def gym_task(text: str) -> Task:
    """The task of `gym:NAME...`; the library is first needed when it is loaded.

    Raises:
        UsageError: E103 another form.
    """
    spec = read_spec(text)
    return Task(
        name=spec.slug,
        title=f"reasoning-gym {spec.name}",
        protocol=Protocol(max_new_tokens=1024, grader=spec.text),
        problems=_no_rows,
        make=lambda task_seed: entries(spec),
        count=spec.size,
        note="Problems depend on the library's version; the digest tells whether they are the same.",
    )


def entries(spec: GymSpec) -> list[Problem]:
    """The problems; their seed is the spec's own, whatever the run's task seed."""
    data = make_dataset(spec)
    made = []
    for number in range(spec.size):
        entry = data[number]
        answer = "" if entry["answer"] is None else str(entry["answer"])
        made.append(
            Problem(
                id=f"{spec.name}/{spec.seed}/{number}",
                prompt=str(entry["question"]),
                answer=marked(answer, key(number, str(entry["question"]))),
                category=spec.name,
                meta={"source": spec.text, "entry": number},
            )
        )
    return made


def _no_rows(rows: Sequence[RawRow], source: str) -> list[Problem]:
    raise AssertionError("a generated task reads no rows")
