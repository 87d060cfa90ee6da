"""Training curves: series, smoothing and the saturation step. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.measure.statistics import wilson

WINDOW = 10
"""Steps that must be solved for saturation."""
SOLVED = 0.95
"""What the lower bound of their samples must reach."""
CURVES: Mapping[str, str] = {
    "accuracy": "train/accuracy",
    "reward": "reward",
    "entropy": "entropy",
    "entropy_t1": "entropy_t1",
    "length": "completions/mean_length",
    "cut": "completions/clipped_ratio",
    "found": "found",
    "signal": "signal",
    "kl": "kl",
    "grad_norm": "grad_norm",
    "update_norm": "update_norm",
    "mismatch": "mismatch/logprob",
}
"""Curve -> its key in `metrics.jsonl`."""


def series(metrics: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one metric, leaving out the steps that do not have it (absent, null or not finite)."""
    points = [(row["step"], row[key]) for row in metrics if row.get(key) is not None and math.isfinite(row[key])]
    return [int(step) for step, _ in points], [float(value) for _, value in points]


def curves(metrics: Sequence[Mapping[str, Any]]) -> dict[str, list[list[float]]]:
    """Every curve of `CURVES` as [[step, value], ...]; empty where the run does not have it.

    `signal`, the share of responses whose advantage is not 0, is taken from `frac_reward_zero_std` in runs that did not
    record it under its own name.
    """
    rows = [
        {**row, "signal": 1 - row["frac_reward_zero_std"]}
        if row.get("signal") is None and row.get("frac_reward_zero_std") is not None
        else row
        for row in metrics
    ]
    return {name: [list(point) for point in zip(*series(rows, key), strict=True)] for name, key in CURVES.items()}


def smooth(values: Sequence[float], window: int = 9) -> list[float]:
    """Centred moving average over `window` (odd) values; near the ends over those of the window that exist."""
    assert window > 0 and window % 2 == 1, window
    reach = window // 2
    near = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [math.fsum(part) / len(part) for part in near]


def saturation(
    successes: Sequence[int],
    samples: Sequence[int],
    *,
    window: int = WINDOW,
    threshold: float = SOLVED,
    level: float = 0.95,
) -> int | None:
    """Index of the first step s such that steps s .. s+window-1 are solved, or None.

    Steps are counted from 0 and a step samples before it updates, so step s is sampled from the model after s updates,
    which is checkpoint-s: its next ten steps are s to s+9. Solved means that the Wilson interval of their pooled
    training samples lies at or above `threshold`. Both sequences have one entry a step. A run too short to fill the
    window after s has not shown saturation at s.
    """
    assert len(successes) == len(samples), (len(successes), len(samples))
    for start in range(len(samples) - window + 1):
        n = sum(samples[start : start + window])
        if n and wilson(sum(successes[start : start + window]), n, level).low >= threshold:
            return start
    return None


def why_unsaturated(successes: Sequence[int], samples: Sequence[int]) -> str:
    """Why there is no saturation step, in a sentence."""
    if len(samples) < WINDOW:
        return f"The run has {len(samples)} training steps, and saturation takes {WINDOW} solved ones."
    most = max(sum(samples[start : start + WINDOW]) for start in range(len(samples) - WINDOW + 1))
    if not most or wilson(most, most).low < SOLVED:
        return (
            f"{WINDOW} steps hold {most} training samples at most: even with all of them right the lower bound would "
            f"lie below {SOLVED:.0%}, so saturation cannot be shown."
        )
    windows = [
        wilson(sum(successes[i : i + WINDOW]), sum(samples[i : i + WINDOW])).low
        for i in range(len(samples) - WINDOW + 1)
    ]
    return (
        f"No {WINDOW} steps in a row are solved: the best of them have a lower bound of {max(windows):.1%}, and "
        f"{SOLVED:.0%} is asked for."
    )
