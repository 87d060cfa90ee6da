"""Before step 0: how often the base model solves the example, and whether training can start from there."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from oneshot.errors import DataError, HealthAbort
from oneshot.measure.statistics import wilson
from oneshot.stages.probing.probe import Prober, successes
from oneshot.types import Group, Problem

SAMPLES = 32
EACH = 8
"""Samples of an example, at least."""
PROBED = 16
"""Examples of a pool that are sampled, at most."""
ROUND = 3
"""Probing uses rounds 0 to 2."""
MOST_CUT = 0.95
"""A step with a larger share of responses cut at the limit is a bad one."""
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t with P(T <= t) = .975, for 1 to `PROBED` − 1 degrees of freedom."""
JUDGED = ("train/accuracy", "completions/clipped_ratio", "found")
"""The metrics that the health rules read."""


@dataclass(frozen=True, kw_only=True)
class BaseRate:
    """Successes of the base model on the training examples before step 0."""

    successes: int
    samples: int
    varied: bool = False
    """The rewards of the samples differ, as scores of a user's function may even where no response is right."""
    rates: tuple[float, ...] = ()
    """Of each example that was sampled, where there is more than one."""
    pool: int = 1
    """Examples of the run."""

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the rate: Wilson's for one example.

        Of several, the example is the unit: t over their rates, never narrower than if all samples were independent.
        Where all samples came out alike the rates do not vary, and each example counts as one sample.
        """
        count, plain = len(self.rates), wilson(self.successes, self.samples)
        if not count:
            return plain.low, plain.high
        if self.successes in (0, self.samples):
            alike = wilson(count if self.successes else 0, count)
            return alike.low, alike.high
        mean, half = fmean(self.rates), T_975[count - 2] * stdev(self.rates) / math.sqrt(count)
        return max(0.0, min(plain.low, mean - half)), min(1.0, max(plain.high, mean + half))

    def zero_signal(self, group_size: int) -> float:
        """Expected share of groups whose rewards are all equal, at the observed rate, or rates."""
        rates = self.rates or (self.successes / self.samples,)
        return fmean(rate**group_size + (1 - rate) ** group_size for rate in rates)

    @property
    def what(self) -> str:
        """What was sampled: `the example`, or how many of how many."""
        if self.pool == 1:
            return "the example"
        sampled = len(self.rates)
        return f"the {sampled} examples" if sampled == self.pool else f"{sampled} of the {self.pool:,} examples"

    def sentence(self, group_size: int) -> str:
        """What it means, in one line."""
        low, high = self.interval
        if self.varied and self.successes in (0, self.samples):
            return (
                f"the base model solves {self.what} {self.successes} of {self.samples} times (a score of 1 or more), "
                "but its scores differ, so groups can carry signal"
            )
        return (
            f"the base model solves {self.what} {self.successes} of {self.samples} times "
            f"(95 % interval {low:.0%} to {high:.0%}); about {self.zero_signal(group_size):.0%} of groups of "
            f"{group_size} will carry no signal"
        )

    def as_dict(self) -> dict[str, Any]:
        """The `base_rate` entry of summary.json, and part of the `preflight` event."""
        low, high = self.interval
        found = {"value": self.successes / self.samples, "ci_low": low, "ci_high": high, "n": self.samples}
        return found | ({"rates": list(self.rates), "pool": self.pool} if self.rates else {})


def base_rate(probe: Prober, problems: Sequence[Problem]) -> tuple[BaseRate, list[Group]]:
    """Sample the examples `SAMPLES` times in all (at least `EACH`) on streams of their own.

    Of more than `PROBED` examples, some that the run's seed draws.
    """
    chosen = list(problems)
    if len(problems) > PROBED:
        draw = random.Random(probe.sampling.seed)
        chosen = [problems[i] for i in sorted(draw.sample(range(len(problems)), PROBED))]
    groups = probe.groups(chosen, max(EACH, math.ceil(SAMPLES / len(chosen))), round=ROUND)
    responses = [c for g in groups for c in g.completions]
    rates = tuple(successes(g.completions) / len(g.completions) for g in groups)
    rate = BaseRate(
        successes=successes(responses),
        samples=len(responses),
        varied=len({c.reward for c in responses}) > 1,
        rates=rates if len(rates) > 1 else (),
        pool=len(problems),
    )
    return rate, groups


def check_base_rate(rate: BaseRate, *, allow_unsolved: bool, yes: bool) -> None:
    """Refuse an example that is never solved or always solved, with the way to go on (exit 4)."""
    low, high = rate.interval
    if rate.varied:
        return
    if rate.successes == 0 and not allow_unsolved:
        raise DataError(
            f"0 of {rate.samples} tries on {rate.what} were right (95 % interval 0 to {high:.0%}). Without a success "
            "there is nothing to reinforce yet. (In the paper, examples never solved in selection still worked.)",
            code="E303",
            tries=("--allow-unsolved   (go on all the same)", "an easier example, or a stronger --model"),
            kept="Nothing was trained.",
        )
    if rate.successes == rate.samples and not yes:
        raise DataError(
            f"{rate.samples} of {rate.samples} tries on {rate.what} were right (95 % interval {low:.0%} to 100 %): "
            "every group is all-correct, so only the entropy and KL terms act (the post-saturation phase starts here).",
            code="E307",
            tries=("--yes   (go on all the same)", "a harder example"),
            kept="Nothing was trained.",
        )


def sampled(metrics: Mapping[str, Any], responses: int) -> int:
    """Responses of a step: `responses`, unless groups were sampled again."""
    return int(metrics.get("rollout/responses", responses))


@dataclass
class Health:
    """Stops a run that cannot learn (docs/design.md). Equal rewards after saturation are normal and never stop it."""

    rate_low: float
    """Lower bound of the base rate; 0 when unknown, then a lack of success never stops the run."""
    yes: bool = False
    patience: int = 5
    samples: int = 0
    successes: int = 0
    bad_steps: int = 0

    def recall(self, rows: Sequence[Mapping[str, Any]], responses: int) -> None:
        """Go on from the recorded metrics of earlier attempts: a resumed run is judged as if it had never stopped."""
        for row in rows:
            self._count({name: row.get(name) or 0.0 for name in JUDGED}, sampled(row, responses))

    def _count(self, metrics: Mapping[str, float], responses: int) -> None:
        self.samples += responses
        self.successes += round(metrics["train/accuracy"] * responses)
        bad = metrics["completions/clipped_ratio"] > MOST_CUT or metrics["found"] == 0
        self.bad_steps = self.bad_steps + 1 if bad else 0

    def check(self, metrics: Mapping[str, float], responses: int) -> str:
        """Raise `HealthAbort` E501, or return the finding as a warning when the user said `--yes`."""
        self._count(metrics, sampled(metrics, responses))
        cut, found = metrics["completions/clipped_ratio"], metrics["found"]
        finding = ""
        if self.successes == 0 and (1 - self.rate_low) ** self.samples < 0.001:
            finding = (
                f"no success in {self.samples} samples, where at least {self.rate_low:.1%} were due (P < .001). "
                "The reward or the prompt differs from the preflight's."
            )
        elif self.bad_steps >= self.patience:
            finding = (
                f"for {self.bad_steps} steps in a row {cut:.0%} of the responses were cut at the limit and "
                f"{found:.0%} held an answer."
            )
        if finding and not self.yes:
            raise HealthAbort(
                finding,
                tries=("--rollout.max-new-tokens 256   (a longer limit)", "--yes   (go on all the same)"),
                kept="The last checkpoint and every recorded step are kept.",
            )
        return finding
