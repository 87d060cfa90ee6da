"""What a task is: its problems, where they come from, and the protocol that makes two results of it comparable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from oneshot.data.rows import RawRow
from oneshot.errors import UsageError
from oneshot.registry import Registry, nearest
from oneshot.types import Problem

GENERATE, LOGLIKELIHOOD = "generate", "loglikelihood"
CHOICES, QUESTION = "choices", "question"
"""Keys of `Problem.meta` in a task with choices: `[{"label": "A", "text": ...}, ...]`, and the question alone."""

ReadRows = Callable[[Sequence[RawRow], str], list[Problem]]
"""(rows of a file or a Hub data set, its name for messages) -> problems. `DataError` E301 for a row that is none."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a task is asked: everything that must be equal for two results of it to be comparable."""

    kind: str = GENERATE
    """`generate`: a response is sampled and graded. `loglikelihood`: the likelier of given continuations counts."""
    samples: int = 1
    """Responses to each problem."""
    temperature: float = 0.0
    """0 is greedy."""
    max_new_tokens: int = 3072
    """Response limit; the paper's evaluation has 3,072."""
    suffix: str = ""
    """Text after the question; the paper's evaluation has none."""
    grader: str = "math-lenient"
    """A grader's name; `gym:...` is a reasoning-gym data set's own scorer."""
    system: str = ""
    """System message; empty means the chat template's own default."""

    def as_dict(self) -> dict[str, Any]:
        """All of it, for `results.json`."""
        return asdict(self)


GREEDY = Protocol()
"""The paper's for MATH500, Minerva Math and OlympiadBench: one greedy response."""
SAMPLED = Protocol(samples=8, temperature=0.6)
"""The paper's for AIME and AMC: the mean of 8 responses."""


@dataclass(frozen=True, kw_only=True)
class Hub:
    """A data set of the Hugging Face Hub. Only what was seen written somewhere is written here."""

    name: str
    """`owner/name`."""
    split: str
    config: str = ""
    """Empty means the data set's only configuration."""
    revision: str = ""
    """A commit; empty where none was seen, then the newest is read. The pin that holds is the task's own digest."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What we need -> the column it stands in there, for people: the task's `problems` reads them."""
    seen: str = ""
    """Where id, configuration, split and columns were seen."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """One benchmark, or anything that can be asked like one."""

    name: str
    """Letters, digits, `_`, `-` and `.` only: it names a folder."""
    title: str
    """What people call it."""
    protocol: Protocol
    """How it is asked unless said otherwise."""
    problems: ReadRows
    """Problems out of the rows of a file in our form or of the Hub's copy."""
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    """Named protocols, `arc_easy:loglikelihood`."""
    prompts: Mapping[str, ReadRows] = field(default_factory=dict)
    """Named protocol -> its own `problems`, where it puts the question in another way."""
    make: Callable[[int], list[Problem]] | None = None
    """Task seed -> problems, of a task that is generated; `problems`, `hub` and `file` then mean nothing."""
    hub: Hub | None = None
    """Where it can be fetched from; None: nowhere that was seen."""
    file: str = ""
    """Stem of its file in a data folder, `FILE.jsonl` or `FILE.parquet`; or the path of a user's file."""
    count: int = 0
    """Rows that are known; 0 means unknown."""
    digest: str = ""
    """sha256 (hex) of the canonical rows that are known, see `digest.py`; empty means unknown."""
    floor: float = 0.0
    """Share of right responses of pure chance."""
    level_key: str = ""
    """Key of a problem's level in its meta; empty where there are no levels."""
    note: str = ""
    """What one should know before quoting a result."""

    def under(self, protocol: str) -> Task:
        """This task under one of its named protocols; its own keeps its name, another is `name-protocol`.

        Raises:
            UsageError: E102 a protocol it does not have, with the nearest.
        """
        if protocol not in self.protocols:
            known = sorted(self.protocols)
            rule = f"It has: {', '.join(known)}." if known else "It has one protocol only, so give the name alone."
            tries = tuple(f"--tasks {self.name}:{other}" for other in known) or (f"--tasks {self.name}",)
            said = f"the task {self.name!r} has no protocol {protocol!r}.{nearest(protocol, known)} {rule}"
            raise UsageError(said, code="E102", tries=tries)
        chosen = self.protocols[protocol]
        if chosen == self.protocol:
            return self
        name = f"{self.name}-{protocol}"
        return replace(self, name=name, protocol=chosen, problems=self.prompts.get(protocol, self.problems))


TASKS: Registry[Task] = Registry("task")
"""Name -> task; filled by the modules beside this one, which `suites.py` imports."""


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """The problems of a task as they were loaded, and what there is to know about where they came from."""

    task: Task
    problems: tuple[Problem, ...]
    """The first `limit` of them."""
    digest: str
    """sha256 (hex) of all canonical rows that were loaded, before the limit."""
    rows: int
    """How many that were."""
    origin: str
    """Path of the file, id of the Hub's data set, or what generated them."""
    notes: tuple[str, ...] = ()
    """What differs from what is known of the task, one sentence each: to be printed and recorded."""
