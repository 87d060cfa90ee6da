"""The named algorithms: one composition each. Their keyword parameters are their configuration."""

from __future__ import annotations

from oneshot.algos import credit, surrogate, weighting
from oneshot.algos.algorithm import ALGORITHMS, Algorithm


@ALGORITHMS.register("grpo")
def grpo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Shao et al. 2024, arXiv:2402.03300, as Wang et al. 2025 run it: z-score with n−1, clip .2, token mean."""
    return Algorithm(credit.z_scored, surrogate.clipped(clip_low, clip_high), weighting.token_mean)


@ALGORITHMS.register("dr_grpo")
def dr_grpo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Liu et al. 2025, arXiv:2503.20783: no division by the std, constant denominator."""
    return Algorithm(credit.centred, surrogate.clipped(clip_low, clip_high), weighting.fixed_length)
