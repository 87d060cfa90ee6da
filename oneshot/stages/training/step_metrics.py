"""What one step showed: the metrics of its rollouts, in TRL's names where TRL has one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import fmean, pstdev

from oneshot.types import Group, Verdict

STATUSES = ("no_answer", "empty", "undecided", "timeout", "memory", "error")
"""Every status but `ok`; the share of responses with it is a metric."""


def rollout_metrics(groups: Sequence[Group], dropped: Sequence[Group] = ()) -> dict[str, float]:
    """Means over the step's responses; `signal` is the share of responses in groups whose rewards differ.

    Rewards, rates, lengths and tokens are those of every response that was sampled, `dropped` groups included: the
    others are chosen by their rewards. `reward_std`, `frac_reward_zero_std` and `signal` are of what is learned from.
    """
    responses = [c for g in (*groups, *dropped) for c in g.completions]
    rewards = [[c.reward for c in g.completions] for g in groups]
    lengths = [len(c.tokens) for c in responses]
    zero = fmean(float(max(r) == min(r)) for r in rewards)
    return {
        "reward": fmean(c.reward for c in responses),
        "reward_std": fmean(pstdev(r) for r in rewards),
        "frac_reward_zero_std": zero,
        "signal": 1 - zero,
        "train/accuracy": fmean(float(c.verdict is not None and c.verdict.correct) for c in responses),
        "found": fmean(float(c.verdict is not None and _holds_answer(c.verdict)) for c in responses),
        "completions/mean_length": fmean(lengths),
        "completions/max_length": float(max(lengths)),
        "completions/clipped_ratio": fmean(float(not c.finished) for c in responses),
        "num_tokens": float(sum(lengths)),
        **grader_metrics([c.verdict for c in responses if c.verdict is not None]),
    }


def grader_metrics(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Share of each status but `ok` among the step's verdicts, and the seconds that grading them took."""
    count = max(len(verdicts), 1)
    shares = {f"grader/{status}": sum(v.status == status for v in verdicts) / count for status in STATUSES}
    return {**shares, "grader/seconds": sum(v.seconds for v in verdicts)}


def _holds_answer(verdict: Verdict) -> bool:
    """A user's function need not say which answer it read; that it gave a score is enough."""
    return verdict.extracted is not None or verdict.score is not None


class Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._began = self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Name the time since the last lap."""
        now = time.perf_counter()
        self.laps[f"time/{name}"] = now - self._last
        self._last = now

    def metrics(self) -> dict[str, float]:
        """All laps and `step_time`."""
        return {**self.laps, "step_time": time.perf_counter() - self._began}
