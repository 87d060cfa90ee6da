"""Recorded responses one by one, of training steps and of evaluations: 10^5 of them are read, never held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oneshot._store.streams import streamed
from oneshot.measure.findings import number
from oneshot.record import RunFolder


@dataclass(frozen=True, kw_only=True)
class Response:
    """One response, of training or of an evaluation."""

    where: str
    """`step 12`, or `builtin-dev, checkpoint-12`."""
    place: str
    """What tells it from the others there: `group 0, sample 3`, or `sample 0`."""
    id: str
    """Of the problem."""
    prompt: str
    answer: str
    """The reference."""
    text: str
    extracted: str | None
    correct: bool | None
    """None where nothing graded it."""
    status: str
    reward: float | None
    """None in an evaluation."""
    tokens: int
    cut: bool

    @property
    def key(self) -> tuple[str, str]:
        """What is equal for two models' responses of the same number to the same problem."""
        return self.id, self.place

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def training(run: RunFolder, steps: Sequence[int]) -> Iterator[Response]:
    """The training responses of some steps, in the order recorded.

    Raises:
        UsageError: E106 the file of a step is absent or damaged.
    """
    for step in steps:
        for row in run.each_rollout(step):
            tokens = row.get("tokens")
            yield Response(
                where=f"step {step}",
                place=f"group {row.get('group')}, sample {row.get('sample')}",
                id=str(row.get("problem_id", "")),
                reward=number(row.get("reward")),
                tokens=len(tokens) if isinstance(tokens, list) else 0,
                cut=row.get("finished") is False,
                **_common(row, "text"),
            )


def evaluation(run: RunFolder, task: str, checkpoint: str) -> Iterator[Response]:
    """The graded responses of one evaluation, in the order recorded. Errors as of `training`."""
    for row in streamed(run.eval_dir(task, checkpoint) / "samples.jsonl.gz"):
        yield Response(
            where=f"{task}, {checkpoint}",
            place=f"sample {row.get('sample', 0)}",
            id=str(row.get("id", "")),
            reward=None,
            tokens=int(number(row.get("tokens")) or 0),
            cut=bool(row.get("cut")),
            **_common(row, "response"),
        )


def _common(row: Mapping[str, Any], text: str) -> dict[str, Any]:
    extracted, correct = row.get("extracted"), row.get("correct")
    return {
        "prompt": str(row.get("prompt", "")),
        "answer": str(row.get("answer", "")),
        "text": str(row.get(text, "")),
        "extracted": None if extracted is None else str(extracted),
        "correct": correct if isinstance(correct, bool) else None,
        "status": str(row.get("status") or ""),
    }
