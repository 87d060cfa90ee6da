"""What the best of several checkpoints on a test set is worth, and what of it is the choice itself.

The paper reports the checkpoint that is best on its test benchmarks. The largest of many noisy numbers is too large, so
such a number is shown only beside its split-half correction: the checkpoint is chosen on one half of the problems and
scored on the other, which had no part in the choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oneshot.errors import UsageError

SPLITS = 1_000


@dataclass(frozen=True, kw_only=True)
class SplitHalf:
    """Best on test, with its correction."""

    best: int
    """The checkpoint with the highest mean over all problems; of equals the earliest."""
    on_all: float
    """Its mean over all problems: chosen and scored on the same ones, so too high."""
    corrected: float
    """Mean over the splits of the chosen checkpoint's score on the half that did not choose."""
    optimism: float
    """`on_all` - `corrected`."""
    spread: float
    """Standard deviation of the score over the splits. Splits share problems, so it is no standard error."""
    agreed: float
    """The share of splits that chose `best`."""
    checkpoints: int
    n: int
    """Problems."""
    splits: int

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every field under its own name."""
        return dict(self.__dict__)


def split_half(scores_CP: Sequence[Sequence[float]], *, splits: int = SPLITS, seed: int = 0) -> SplitHalf:
    """Choose on half of the problems, score on the other, `splits` times.

    A half that chooses has P // 2 problems drawn without replacement; the others score. Of equal checkpoints the
    earliest is chosen, as on all problems. The halves are smaller than the whole and choose a little worse than it
    would, so the correction errs, slightly, to the low side.

    Args:
        scores_CP: mean score of every problem, [checkpoints, problems], the same problems in the same order.
        splits: random halves.
        seed: equal seeds give equal numbers.

    Raises:
        UsageError: E103 no checkpoint, rows of different lengths, fewer than two problems or no split.
    """
    lengths = {len(row) for row in scores_CP}
    if len(lengths) != 1 or min(lengths) < 2 or splits < 1:
        raise UsageError(
            f"a split-half correction needs checkpoints with the same two or more problems and at least one split; "
            f"there are {len(scores_CP)} checkpoints with {sorted(lengths)} problems and {splits} splits.",
            code="E103",
        )
    table_CP = np.asarray(scores_CP, dtype=np.float64)
    n = table_CP.shape[1]
    means_C = table_CP.mean(axis=1).round(12)
    best = int(means_C.argmax())
    half = n // 2
    chooses_SP = np.random.default_rng(seed).random((splits, n)).argsort(axis=1) < half
    # Rounded, so that sums which are equal but for the order of their terms stay a tie.
    sums_CS = table_CP @ chooses_SP.T
    chosen_S = sums_CS.round(9).argmax(axis=0)
    held_out_S = (table_CP.sum(axis=1)[chosen_S] - sums_CS[chosen_S, np.arange(splits)]) / (n - half)
    corrected = float(held_out_S.mean())
    on_all = float(table_CP[best].mean())
    return SplitHalf(
        best=best,
        on_all=on_all,
        corrected=corrected,
        optimism=on_all - corrected,
        spread=float(held_out_S.std()),
        agreed=float((chosen_S == best).mean()),
        checkpoints=len(table_CP),
        n=n,
        splits=splits,
    )
