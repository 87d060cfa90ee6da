"""The named algorithms: one composition each. Their keyword parameters are their configuration.

`kl`, `entropy` and `updates` are shared settings, not part of these: `--algorithm dapo` alone keeps the KL term of the
configuration's default; DAPO as published has `--algorithm.kl 0`.
"""

from __future__ import annotations

from oneshot.algos import credit, penalty, surrogate, values, weighting
from oneshot.algos.algorithm import ALGORITHMS, Algorithm
from oneshot.errors import UsageError


@ALGORITHMS.register("grpo")
def grpo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Shao et al. 2024, arXiv:2402.03300, as Wang et al. 2025 run it: z-score with n−1, clip .2, token mean."""
    return Algorithm(credit.z_scored, surrogate.clipped(clip_low, clip_high), weighting.token_mean)


@ALGORITHMS.register("dr_grpo")
def dr_grpo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Liu et al. 2025, arXiv:2503.20783: no division by the std, constant denominator."""
    return Algorithm(credit.centred, surrogate.clipped(clip_low, clip_high), weighting.fixed_length)


@ALGORITHMS.register("dapo")
def dapo(*, clip_low: float = 0.2, clip_high: float = 0.28) -> Algorithm:
    """Yu et al. 2025, arXiv:2503.14476: clip-higher, token mean. Its dynamic sampling is no part of the loss."""
    return Algorithm(credit.z_scored, surrogate.clipped(clip_low, clip_high), weighting.token_mean)


@ALGORITHMS.register("rloo")
def rloo(*, clip_low: float = 0.2, clip_high: float = 0.2) -> Algorithm:
    """Ahmadian et al. 2024, arXiv:2402.14740: leave-one-out baseline, whole-sequence ratio (clipped as TRL does)."""
    return Algorithm(credit.leave_one_out, surrogate.sequence_ratio(clip_low, clip_high), weighting.per_row)


@ALGORITHMS.register("reinforce_pp")
def reinforce_pp(
    *, baseline: str = "none", clip_low: float = 0.2, clip_high: float = 0.2, floor: float = 0.0
) -> Algorithm:
    """Hu 2025, arXiv:2501.03262: rewards whitened over the batch; `baseline="group"`: r − group mean first, k2."""
    if baseline not in ("none", "group"):
        raise UsageError(f"reinforce_pp, option 'baseline': {baseline!r} is neither none nor group.", code="E103")
    group = baseline == "group"
    whitened = credit.whitened(group=group, floor=floor)
    kl_of = penalty.k2 if group else penalty.k3
    return Algorithm(whitened, surrogate.clipped(clip_low, clip_high), weighting.token_mean, kl_of=kl_of)


@ALGORITHMS.register("gspo")
def gspo(*, clip_low: float = 3e-4, clip_high: float = 4e-4) -> Algorithm:
    """Zheng et al. 2025, arXiv:2507.18071: the ratio is exp(mean log ratio) of a response, mean over responses."""
    return Algorithm(credit.z_scored, surrogate.per_sequence(clip_low, clip_high), weighting.sequence_mean)


@ALGORITHMS.register("cispo")
def cispo(*, clip_high: float = 4.0) -> Algorithm:
    """MiniMax 2025, arXiv:2506.13585: a capped ratio without gradient, times A·log p. TRL's suggestion is 4 + 1."""
    return Algorithm(credit.z_scored, surrogate.cispo(high=clip_high), weighting.token_mean)


@ALGORITHMS.register("max_rl")
def max_rl() -> Algorithm:
    """Tajwar et al. 2026, Maximum Likelihood Reinforcement Learning: (r − mean)/mean; REINFORCE, token mean."""
    return Algorithm(credit.relative_to_mean, surrogate.reinforce, weighting.token_mean)


@ALGORITHMS.register("ppo")
def ppo(
    *, clip_low: float = 0.2, clip_high: float = 0.2, gamma: float = 1.0, lam: float = 1.0, floor: float = 0.0,
    critic: str = "auto", critic_lr: float = 1e-5, value_clip: float = 0.5,
) -> Algorithm:  # fmt: skip
    """Schulman et al. 2017, arXiv:1707.06347: GAE on a learned critic, whitened over the batch; clip .2, token mean."""
    learned = values.ValueFunction(critic, critic_lr, value_clip)
    gae = credit.gae(gamma, lam, floor=floor)
    return Algorithm(gae, surrogate.clipped(clip_low, clip_high), weighting.token_mean, critic=learned)
