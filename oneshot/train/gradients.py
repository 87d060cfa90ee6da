"""The gradient of the policy term alone, measured beside any step: what the transfer map compares.

It runs the learner's own forward, loss and accumulation. Neither weights nor moments nor counters are touched, no
random number is drawn, and every gradient is let go of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from oneshot.algos.algorithm import Algorithm, configured, policy_loss, terms_of, weights
from oneshot.train.forward import moved, placed, states
from oneshot.train.learner import Learner
from oneshot.types import TokenBatch

Gradient = Sequence[Tensor | None]
"""One tensor a trained parameter (its float32 master's, where it has one); None where it takes no part."""


def policy_term(algorithm: Algorithm) -> Algorithm:
    """The algorithm's policy term with coefficient 1 and one step a batch; no KL, no entropy, none of their schedules.

    Of an arm without a policy term (entropy alone) too: the map says where that term would lead.
    """
    off = {"policy": 1.0, "kl": 0.0, "entropy": 0.0, "entropy_of": None, "updates": 1, "minibatches": 1}
    return configured(algorithm, off)


def by_part(learner: Learner, batch: TokenBatch, advantages: Tensor) -> Iterator[Gradient]:
    """The gradient of the policy term's loss of a scored batch, one part (`batch.parts`) after another.

    Weights are those of the whole batch, so the parts add up to its gradient. What is handed out is the learner's own
    and holds until the next part is asked for; run it to its end.

    Args:
        learner: whose weights, head and algorithm are used.
        batch: scored as the policy term needs.
        advantages: [B] or [B, T].
    """
    algorithm = policy_term(learner.algorithm)
    device = learner.policy.device
    batch, advantages = moved(batch, device), advantages.to(device)
    advantage_BT = advantages[:, None].expand(batch.shape) if advantages.dim() == 1 else advantages
    shared_BT = (advantage_BT, *weights(algorithm, batch))
    decoder, head_VH, first = learner.policy.decoder, learner.policy.head, 0
    try:
        for size in batch.parts or (batch.shape[0],):
            learner.release()
            with learner.optimizer.accumulating():
                for micro in (m for m in batch.micro if first <= m.rows[0] < first + size):
                    learner.check()
                    hidden_NH = states(decoder, micro, device)
                    flat = learner.head(hidden_NH, head_VH, micro.target_N.to(device), learner.temperature)
                    logp_BT, entropy_BT, _ = (placed(values_N, micro, batch.shape[1]) for values_N in flat)
                    terms = terms_of(batch, micro.rows, shared_BT, logp_BT=logp_BT, entropy_BT=entropy_BT)
                    policy_loss(algorithm, terms)[0].backward()
            yield [master.grad for master in learner.optimizer.masters]
            first += size
    finally:
        learner.release()
