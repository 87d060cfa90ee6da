"""Run folders made by hand, with answers that are known: no model, a character a response."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot.history import History
from oneshot.record import RunFolder
from oneshot.types import Completion, EvalRow, Group, Problem, Verdict

EXAMPLE = Problem(id="example", prompt="What is 1 + 1?", answer="2", category="add")
PROTOCOL: Mapping[str, Any] = {
    "samples": 1, "temperature": 0.0, "max_new_tokens": 64, "prompt": "<user>?", "grader": "math-lenient",
    "weights": "aaaa", "dtype": "float32",
}  # fmt: skip


def new_run(
    root: Path,
    *,
    control: str = "",
    argv: Sequence[str] = ("train", "--data", "pi1"),
    examples: Sequence[Problem] = (EXAMPLE,),
    weights: str = "w" * 64,
    **config: Any,
) -> RunFolder:
    """A run folder with its example(s), as it is before step 0."""
    whole: dict[str, Any] = {
        "data": {"source": "pi1"},
        "reward": {"name": "math", "control": control},
        "rollout": {"groups": 1, "group_size": 16},
        "seed": 0,
    } | config
    run = RunFolder.create(root, f"run {control}", whole, list(argv))
    run.start_attempt()
    run.write_example(examples)
    run.event("model", name="toy", sha256=weights)
    return run


def preflight(run: RunFolder, right: int, samples: int) -> None:
    """The base rate, as the run records it."""
    run.event("preflight", value=right / samples, ci_low=0.0, ci_high=1.0, n=samples)


def steps(
    run: RunFolder, right: Sequence[int], samples: int = 16, *, texts: Mapping[int, Sequence[str]] | None = None
) -> None:
    """One training step for each number of right samples; `texts` are the responses of some steps."""
    for step, count in enumerate(right):
        words = (texts or {}).get(step, ("so it is 2",))
        done = tuple(
            Completion(
                tokens=(1,) * 10, logprobs=(-0.5,) * 10, text=text, finished=True,
                verdict=Verdict(correct=True, extracted="2", method="number"),
            )
            for text in words
        )  # fmt: skip
        group = Group(id=0, problem=EXAMPLE, prompt_tokens=(5,), completions=done, policy_version=step)
        accuracy = count / samples
        run.step(step, {"train/accuracy": accuracy, "signal": 1 - accuracy, "entropy": 1 / (step + 1)}, [group])
    visits(run, [(step, EXAMPLE.id, count, samples, {"2": count}) for step, count in enumerate(right)])


def visits(run: RunFolder, rows: Sequence[tuple[int, str, int, int, Mapping[str, int]]]) -> None:
    """The history: (step, problem, right ones, samples, answers)."""
    keys = ("step", "problem_id", "successes", "samples", "answers")
    history = History()
    history.load_state_dict({"rows": [dict(zip(keys, row, strict=True)) for row in rows]})
    history.save(run.history_path)


def rows(
    words: str | Sequence[str],
    *,
    categories: Sequence[str] = ("",),
    text: str = "",
    prefix: str = "p",
    **meta: Any,
) -> list[EvalRow]:
    """A character a problem: `1` right in a box, `l` right outside one, `0` wrong; of a word one character a sample.

    Problem i has the category i modulo their number.
    """
    return [
        EvalRow(
            id=f"{prefix}{i}", category=categories[i % len(categories)], prompt=f"{prefix}{i}?", answer="2",
            response=text or kind, extracted="2" if kind in "1l" else "3", correct=kind in "1l", status="ok", cut=False,
            tokens=10, sample=sample, meta={"boxed": kind == "1", "lenient": kind in "1l", "repeated": False, **meta},
        )
        for i, word in enumerate(words)
        for sample, kind in enumerate(word)
    ]  # fmt: skip


def put(run: RunFolder, task: str, checkpoint: str, graded: Sequence[EvalRow], **protocol: Any) -> None:
    """Record an evaluation; `floor` stands beside the protocol."""
    floor = protocol.pop("floor", 0.0)
    n = len({row.id for row in graded})
    run.write_eval(task, checkpoint, {"n": n, "floor": floor, "protocol": {**PROTOCOL, **protocol}}, graded)
