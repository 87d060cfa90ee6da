"""The control arms by name, and the words that every output of such a run carries. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oneshot._store.values import number, section


@dataclass(frozen=True, kw_only=True)
class Control:
    """One control arm."""

    words: str
    """What `control arm: ` is followed by, in every output; begins with the arm's name."""
    meaning: str
    """One sentence: what is paid, and what that tells."""
    real: bool = False
    """The real rewards matter, so an example that is never (or always) solved is refused as in any run."""
    inert: tuple[str, ...] = ()
    """Settings that cannot act in this arm."""


_NO_POLICY = ("reward.name", "algorithm.policy", "algorithm.pooled", "algorithm.kl_in_reward")
_LIKELIHOOD = ("name", "policy", "kl", "entropy", "weighting", "pooled", "kl_in_reward", "importance_cap", "options")

CONTROLS: Mapping[str, Control] = {
    "shuffled": Control(
        words="shuffled rewards",
        meaning="The real rewards of a step are permuted inside each group (of an algorithm without groups, among all "
        "responses to an example): the same signal without information; the null of every other gain.",
        real=True,
    ),
    "random": Control(
        words="random rewards",
        meaning="Each response is paid 1 or 0 by the toss of a coin, whatever it says.",
        inert=("reward.name",),
    ),
    "wrong": Control(
        words="wrong answer rewarded",
        meaning="What is paid is the wrong answer that the base model gave most often: learnable, and wrong.",
    ),
    "unguessable": Control(
        words="unguessable answer rewarded",
        meaning="What is paid is an answer that nobody gives, so the policy loss has no gradient: what remains is what "
        "the KL and entropy terms and the weight decay do alone.",
        inert=("algorithm.policy",),
    ),
    "format": Control(
        words="format rewarded, whatever the answer",
        meaning="A response is paid for its form alone: what is gained this way is not what the answer taught.",
    ),
    "majority": Control(
        words="majority answer rewarded",
        meaning="The most frequent answer of the step's own samples is paid, right or wrong; a tie pays nobody.",
    ),
    "entropy": Control(
        words="entropy up, no policy loss",
        meaning="The policy loss is off and the entropy bonus on: the model is made less certain and told nothing.",
        inert=_NO_POLICY,
    ),
    "confidence": Control(
        words="confidence (entropy down), no policy loss",
        meaning="The policy loss is off and entropy is lowered: the model is made more certain and told nothing.",
        inert=_NO_POLICY,
    ),
    "rft": Control(
        words="rft, imitation of the base model's own right responses",
        meaning="Right responses of the untrained model are imitated (supervised), as many a step as the run would "
        "sample: what the same data gives without reinforcement.",
        inert=tuple(f"algorithm.{name}" for name in _LIKELIHOOD),
    ),
    "noop": Control(
        words="noop, learning rate 0",
        meaning="Everything is done but moving a weight: base and trained model are the same, so any difference is an "
        "error of the measurement.",
        inert=("algorithm.*", "optim.lr", "optim.weight_decay", "optim.schedule", "reward.name"),
    ),
}
"""Every control arm by name; `config.checks.CONTROLS` lists the same names."""


def label(config: Mapping[str, Any]) -> str:
    """What sets a run apart from a normal one, for every output that shows it; "" for a normal run.

    `config` is a `config.json`, of whatever version: what is no section, or no number, says nothing.
    Example: `control arm: shuffled rewards; answers of 60 % of the examples corrupted`.
    """
    name = str(section(config, "reward").get("control") or "")
    share = number(section(config, "data").get("corrupt")) or 0.0
    said = [f"control arm: {CONTROLS[name].words if name in CONTROLS else name}"] if name else []
    if share:
        said.append(f"answers of {100 * share:g} % of the examples corrupted")
    return "; ".join(said)
