"""Whether something was chosen by the problems of a task: a checkpoint by a dev set, or a prompt. Loads no torch."""

from __future__ import annotations

from oneshot.config.schema import Config, EvalsConfig
from oneshot.errors import OneshotError
from oneshot.record import Evaluations, RunFolder
from oneshot.stages.comparing.models import Model, evals_of
from oneshot.stages.evals import best
from oneshot.stages.evals.averages import stem

CHOICES = "prompt-choice-"
"""How the tasks are called on which a prompt was chosen; they compare prompts, not models."""
MOST = 0.5
"""Share of a task's problems in the dev set from which on the task is taken for it; below it, that is told."""


class DevSets:
    """The dev sets of runs, each evaluation read once.

    A dev set has more than one name: `oneshot eval RUN --tasks held.jsonl` records it as `held-0123abcd`. So the
    problems decide, by the text of the question; between tasks of one name their ids do too.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {}

    def chose(self, store: Evaluations, task: str) -> bool:
        """Whether a checkpoint of the run, or a prompt, was chosen by these problems."""
        return self.share(store, task) >= MOST

    def share(self, store: Evaluations, task: str) -> float:
        """The share of a task's problems by which something was chosen."""
        dev = dev_of(store)
        if task.startswith(CHOICES) or (dev and task == dev):
            return 1.0
        if not dev:
            return 0.0
        (ids, asked), (dev_ids, dev_asked) = self._problems(store, task), self._problems(store, dev)
        shared = len(asked & dev_asked) / len(asked) if asked else 0.0
        if ids and stem(task) == dev:
            shared = max(shared, len(ids & dev_ids) / len(ids))
        return shared

    def _problems(self, store: Evaluations, task: str) -> tuple[frozenset[str], frozenset[str]]:
        """(ids, questions) of a task as it was recorded first; none where it cannot be read, which is told later."""
        key = (str(store.path), task)
        if key not in self._read:
            checkpoint = next((found for name, found in evals_of(store) if name == task), "")
            try:
                rows = Model(store=store, checkpoint=checkpoint).read(task).rows if checkpoint else ()
            except OneshotError:
                rows = ()
            self._read[key] = (frozenset(row.id for row in rows), frozenset(row.prompt for row in rows if row.prompt))
        return self._read[key]


def dev_of(store: Evaluations) -> str:
    """The name of a run's dev set in evals/; empty where there is none."""
    if not isinstance(store, RunFolder):
        return ""
    source = str(store.config().get("evals", {}).get("source", ""))
    return best.dev_task(Config(evals=EvalsConfig(source=source))) if source else ""
