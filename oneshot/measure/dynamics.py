"""Training curves: series, smoothing and the saturation step. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from oneshot.measure.statistics import wilson


def series(metrics: Sequence[Mapping[str, Any]], key: str) -> tuple[list[int], list[float]]:
    """Steps and values of one metric, leaving out the steps that do not have it (absent, null or not finite)."""
    points = [(row["step"], row[key]) for row in metrics if row.get(key) is not None and math.isfinite(row[key])]
    return [int(step) for step, _ in points], [float(value) for _, value in points]


def smooth(values: Sequence[float], window: int = 9) -> list[float]:
    """Centred moving average over `window` (odd) values; near the ends over those of the window that exist."""
    assert window > 0 and window % 2 == 1, window
    reach = window // 2
    near = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return [math.fsum(part) / len(part) for part in near]


def saturation(
    successes: Sequence[int], samples: Sequence[int], *, window: int = 10, threshold: float = 0.95, level: float = 0.95
) -> int | None:
    """Index of the first step s such that steps s .. s+window-1 are solved, or None.

    Solved means that the Wilson interval of their pooled training samples lies at or above `threshold`. Both sequences
    have one entry a step. A run too short to fill the window after s has not shown saturation at s.
    """
    assert len(successes) == len(samples), (len(successes), len(samples))
    for start in range(len(samples) - window + 1):
        n = sum(samples[start : start + window])
        if n and wilson(sum(successes[start : start + window]), n, level).low >= threshold:
            return start
    return None
