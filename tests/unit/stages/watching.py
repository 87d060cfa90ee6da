"""A run folder that somebody is writing, for the verbs that look on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from oneshot.record import RunFolder
from oneshot.types import Completion, Group, Problem, Verdict
from tests.unit.measure.health_runs import HEALTHY, make

HOSTILE = "\x1b[2J\x1b]0;title\x07 \r\u202eabc\u200b\x9b31m\x00 [bold red]markup[/] :smile:"
FORBIDDEN = ("\x1b[2J", "\x1b]0;", "\x07", "\u202e", "\x9b", "\x00", "\r")


def group(step: int, rewards: Sequence[int], *, text: str = "So it is", number: int = 0, answer: str = "5") -> Group:
    """One response a reward; the right ones say the answer. The last one is cut."""
    made = []
    for sample, reward in enumerate(rewards):
        said = answer if reward else "4"
        done = Completion(
            tokens=(1, 2, 3), logprobs=(-0.5,) * 3, text=f"{text} {said}. ({step}-{number}-{sample})",
            finished=sample < len(rewards) - 1,
        )  # fmt: skip
        made.append(done.scored(Verdict(correct=bool(reward), extracted=said, method="number")))
    problem = Problem(id=f"e{number}", prompt=f"What is 2 + 3? {text}", answer=answer)
    return Group(id=number, problem=problem, prompt_tokens=(5,), completions=tuple(made), policy_version=step)


def running(root: Path, steps: int = 3, **more: Any) -> RunFolder:
    """A running run of 20 steps that has done a few, each with two groups: one of equal rewards, one not."""
    run = make(root, steps=0, state="running", **more)
    for number in range(steps):
        step(run, number)
    return run


def step(run: RunFolder, number: int, *, text: str = "So it is", **changed: float) -> None:
    """Record one more step."""
    groups = [group(number, (0, 0), text=text), group(number, (0, 1), text=text, number=1)]
    run.step(number, {**HEALTHY, **{name.replace("__", "/"): value for name, value in changed.items()}}, groups)
    run.write_status(step=number + 1, steps=20)


def drawn(part: Any, width: int = 100, *, colour: bool = False) -> str:
    """What a terminal would get."""
    console = Console(width=width, record=True, force_terminal=colour, highlight=False, markup=False, file=_Nowhere())
    console.print(part)
    return console.export_text(styles=colour)


def flat(text: str) -> str:
    """A drawing as one line of words, without its frames."""
    return " ".join("".join(" " if c in "│╭╮╰╯─━╸╺" else c for c in text).split())


class _Nowhere:
    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing."""

    def isatty(self) -> bool:
        return False
