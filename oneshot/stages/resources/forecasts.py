"""How long a run will take, from a measured speed: a range, because nobody knows yet how long the responses are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oneshot.config.schema import Config
from oneshot.stages.display import duration

SPREAD = 0.2
"""The measured speed is one reading on a machine that does other things too: ± a fifth."""
SHORT_SHARE = 0.25
"""Length of the responses at the quick end where none was sampled to its end yet, as a share of the limit."""
MAP_PROBLEMS, MAP_GROUPS = 128, 16
"""Of the transfer map: dev problems in all, at most, and groups of samples of the example."""
DRIFT_PROMPTS = 32
"""Dev problems whose answers by the base drift is measured on."""


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was measured before step 0, on this machine with this model."""

    decode: float
    """Response tokens a second while sampling, with as many rows at once as in training."""
    learn: float
    """Micro-batch tokens a second through everything between rollouts and the next step, the update itself aside."""
    decode_rows: int
    decode_tokens: int
    """Response tokens that were timed."""
    learn_tokens: int

    def sentence(self) -> str:
        """How it was measured."""
        return (
            f"measured: sampling {self.decode:,.0f} tokens/s ({self.decode_tokens} tokens, {self.decode_rows} rows at "
            f"once), learning {self.learn:,.0f} tokens/s (the worst-case step of {self.learn_tokens})"
        )


@dataclass(frozen=True, kw_only=True)
class TimeForecast:
    """Seconds, each as (quick, slow)."""

    step: tuple[float, float]
    steps: int
    evaluation: tuple[float, float]
    """One reading of the held-out problems and of the test tasks; (0, 0) without any."""
    evaluations: int
    lengths: tuple[float, int]
    """Mean response tokens that the two ends stand for."""
    observed: bool
    """The quick end's length was seen in samples; otherwise it is `SHORT_SHARE` of the limit."""
    before: tuple[float, float] = (0.0, 0.0)
    """Once, before step 0: the base's answers that drift is measured on, and the transfer map."""
    mapped: bool = False
    """Whether there is a transfer map."""

    @property
    def total(self) -> tuple[float, float]:
        """All steps, evaluations and what is measured before step 0; grading, saving and the start-up are left out."""
        parts = zip(self.step, self.evaluation, self.before, strict=True)
        low, high = (self.steps * a + self.evaluations * b + once for a, b, once in parts)
        return low, high

    def sentence(self) -> str:
        """`12 steps of 10 to 31 s; ...`."""
        (low, high), (all_low, all_high) = self.step, self.total
        ends = f"responses of {self.lengths[0]:.0f}{' (as sampled)' if self.observed else ''} to {self.lengths[1]}"
        count = f"{self.evaluations} evaluation{'s' if self.evaluations > 1 else ''}"
        each = (
            f", {count} of {duration(self.evaluation[0])} to {duration(self.evaluation[1])}" if self.evaluations else ""
        )
        plural = "s" if self.steps > 1 else ""
        if self.mapped:
            each += f", {duration(self.before[0])} to {duration(self.before[1])} before them, mostly the transfer map"
        return (
            f"{duration(all_low)} to {duration(all_high)} in all: {self.steps} step{plural} of {low:.1f} to "
            f"{high:.1f} s ({ends} tokens){each}"
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with the total."""
        return {**asdict(self), "total": self.total}


def time_forecast(
    config: Config,
    speed: Speed,
    *,
    prompt: int,
    mean_length: float | None = None,
    held_out: int = 0,
    tasks: Sequence[tuple[int, int]] = (),
) -> TimeForecast:
    """From the measured speed to the whole run.

    The slow end: every response runs to its limit, and dynamic sampling takes all its rounds. The quick end: to
    `mean_length`, or `SHORT_SHARE` of the limit, in one round. Both with `SPREAD` around the measured speed. Longer
    caches and more padding make decoding slower towards the limit; the samples it is measured on are as short or as
    long as the model made them.

    Args:
        config: the run.
        speed: as measured.
        prompt: tokens of the longest prompt.
        mean_length: mean response tokens of the samples before step 0; None where none was sampled to its end.
        held_out: problems of one evaluation.
        tasks: (responses, response limit) of what else is read each time.
    """
    limit, evals = config.rollout.max_new_tokens, config.evals
    length = SHORT_SHARE * limit if mean_length is None else mean_length
    length = min(max(1.0, length), float(limit))
    rounds = config.rollout.max_rounds if config.rollout.dynamic else 1
    low = _step(config, speed, prompt, length)
    high = _step(config, speed, prompt, float(limit), rounds)
    read = sum(responses * tokens for responses, tokens in ((held_out, evals.source_tokens), *tasks))
    readings = (2 + _between(config.optim.steps, evals.every)) if read else 0
    quick, slow = read * length / limit / speed.decode, read / speed.decode
    if drifts := min(held_out, DRIFT_PROMPTS) * evals.drift:
        # Forward only, of what learning takes three times as much for; at the slow end as if it were learning.
        quick += drifts * (prompt + length / limit * evals.source_tokens) / speed.learn / 3
        slow += drifts * (prompt + evals.source_tokens) / speed.learn
    once = [_before(config, speed, prompt, held_out, each) for each in (length, float(limit))]
    return TimeForecast(
        step=((1 - SPREAD) * low, (1 + SPREAD) * high),
        steps=config.optim.steps,
        evaluation=((1 - SPREAD) * quick, (1 + SPREAD) * slow),
        evaluations=readings,
        lengths=(length, limit),
        observed=mean_length is not None,
        before=((1 - SPREAD) * once[0], (1 + SPREAD) * once[1]),
        mapped=config.evals.transfer_map > 0 and held_out > 0,
    )


def _step(config: Config, speed: Speed, prompt: int, length: float, rounds: int = 1) -> float:
    """Seconds of one step with responses of `length` tokens: sampled `rounds` times, then learned in micro-batches."""
    responses = config.rollout.groups * config.rollout.group_size
    fit = max(1, int((config.optim.micro_tokens - prompt) / length)) if config.optim.packing else 1
    learned = responses * length + math.ceil(responses / fit) * prompt
    return rounds * responses * length / speed.decode + config.algorithm.updates * learned / speed.learn


def _before(config: Config, speed: Speed, prompt: int, held_out: int, length: float) -> float:
    """Seconds of what is measured once: sampling answers for drift, and sampling and learning from the map's groups."""
    if not held_out:
        return 0.0
    share, samples = length / config.rollout.max_new_tokens, config.evals.transfer_map
    answers = min(held_out, DRIFT_PROMPTS) * config.evals.drift * config.evals.source_tokens * share
    groups = (min(held_out, MAP_PROBLEMS) + MAP_GROUPS) * (samples > 0)
    responses = groups * samples * length
    return (answers + responses) / speed.decode + (responses + groups * prompt) / speed.learn


def _between(steps: int, every: int) -> int:
    """Evaluations after some step but the last."""
    return (steps - 1) // every if every else 0


def as_dict(forecast: TimeForecast | None, speed: Speed | None) -> Mapping[str, Any] | None:
    """The `time` entry of the plan and of the preflight event; None where nothing was measured."""
    if forecast is None or speed is None:
        return None
    return {**forecast.as_dict(), "speed": asdict(speed), "how": speed.sentence()}
