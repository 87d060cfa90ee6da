"""Probe a pool: sample the base model where it says most about which problems are solved about half of the time.

`measure/probing.py` says where to sample; `choice.py` asks for it, or for equally many samples of each problem to
choose by their answers; `sampler.py` samples, grades and records (`record.py`). Response `s` of problem `i`
has a random stream of its own, so it does not depend on what else is sampled, and the allocation is worked out anew
from the recorded samples: a probe that was killed ends as if it had not been.

The problems that look best have had luck too (winner's curse): the rates to show come from fresh samples of the picks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneshot.measure.probing import TOLERANCE, Rule
from oneshot.measure.statistics import wilson
from oneshot.stages.probing.checks import check, judge, unmatchable
from oneshot.stages.probing.choice import Chosen, by_answers, by_rate
from oneshot.stages.probing.probe import Prober
from oneshot.stages.probing.protocol import head, prober_of, protocol_of
from oneshot.stages.probing.record import FRESH, ProbeRecord, Sample, record_beside
from oneshot.stages.probing.sampler import Sampler
from oneshot.types import Problem

__all__ = ["Found", "PoolProbe", "probe_pool", "prober_of", "protocol_of", "record_beside"]

FRESH_OF_ALL = 50
"""Where the whole pool is wanted, only so many of the best get fresh samples."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """One problem of the pool after a probe. `successes` and `samples` are those the choice was made by."""

    rank: int
    """1 is the best; ties by the pool's order."""
    index: int
    """Place in the pool, from 0."""
    problem: Problem
    successes: int
    samples: int
    """0 where no response can match the reference, or the budget was below one sample a problem."""
    answers: Mapping[str, int]
    """Extracted answer -> count, of the samples the choice was made by."""
    tie_first: int
    """First and last rank of the problems whose counts (or answers) say the same."""
    tie_last: int
    fresh_successes: int = 0
    """Of the picks only: successes in samples that had no part in the choice."""
    fresh_samples: int = 0
    fresh_answers: Mapping[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Share of right answers to show: of the fresh samples where there are any; NaN where nothing was sampled."""
        return wilson(*self._shown).estimate

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of `rate`, from the same samples; (0, 1) where there are none."""
        interval = wilson(*self._shown)
        return interval.low, interval.high

    @property
    def _shown(self) -> tuple[int, int]:
        fresh = self.fresh_successes, self.fresh_samples
        return fresh if self.fresh_samples else (self.successes, self.samples)


@dataclass(frozen=True, kw_only=True)
class PoolProbe:
    """What a probe found."""

    ranked: Sequence[Found]
    """Every problem, in the order of rank; the first `top` are the picks and have fresh samples."""
    samples: int
    """Samples behind the choice (those of earlier attempts included)."""
    fresh: int
    """Fresh samples of the picks."""
    reused: int
    """Samples read from the record instead of drawn."""
    decided: bool | None
    """The picks were clear (or certainly within the tolerance of the target) before the budget was spent; None where
    every problem was sampled equally often."""
    warnings: Sequence[str]
    """Sentences already said through `note`: all solved, nothing solved, references no answer can match."""


def probe_pool(
    prober: Prober,
    problems: Sequence[Problem],
    *,
    top: int,
    samples: int,
    record: Path,
    protocol: Mapping[str, Any],
    target: float = 0.5,
    by: str = "",
    tolerance: float = TOLERANCE,
    fresh: int = 32,
    allow_unsolved: bool = False,
    note: Callable[[str], None] = lambda text: None,
) -> PoolProbe:
    """Find the `top` problems whose pass rate is nearest to `target`, and measure their rates afresh.

    Args:
        prober: the base model with the training prompt, temperature and grader (`prober_of(setup)`).
        problems: the pool, in order; nothing is merged or dropped.
        top: how many are wanted, 1 to the size of the pool.
        samples: a problem, on average and at most; spent where the rank is open. Fresh samples come on top.
        record: every batch is appended here; one that is there is continued (`record_beside(out)`).
        protocol: `protocol_of(setup)`; a record with another one is refused.
        target: the pass rate looked for.
        by: `answer-entropy` or `distinct-answers` to rank by that of exactly `samples` samples each instead.
        tolerance: rates that are certainly (3 standard deviations) so near to the target are good enough.
        fresh: new samples of each pick, for what is shown of it; of the first `FRESH_OF_ALL` of a whole pool.
        allow_unsolved: go on where no sample of the whole pool was right.
        note: told what is done, the time left, and warnings.

    Raises:
        UsageError: E103 out of range, E106 a damaged record, E107 one of another model, prompt, grader, seed, ...
        DataError: E302 no reference can be matched; E303 nothing was ever solved; E305 the user's function failed.
        MachineError: E202 the disk is full.
        Stopped: 130 after Ctrl-C, 75 after SIGTERM; what was sampled is kept.
    """
    check(size := len(problems), top, samples)
    hopeless, warnings = unmatchable(prober.verify, problems)
    _tell(warnings, note)
    rule = Rule(top=top, budget=samples * size, target=target, tolerance=tolerance, seed=prober.sampling.seed)
    choose = by_answers(by, samples, size, hopeless) if by else by_rate(rule, size, hopeless)
    prompts = [prober.render(p) for p in problems]
    opened = ProbeRecord.open(record, head(prober, problems, prompts, protocol))
    picks = top if top < size else min(top, FRESH_OF_ALL)
    note(_opening(rule, by, size, opened, fresh * picks))
    with Sampler(prober, problems, prompts, opened, note, total=rule.budget + fresh * picks) as sampler:
        chosen = choose(sampler)
        spent, solved = int(chosen.samples_P.sum()), int(chosen.successes_P.sum())
        warnings += _tell(judge(solved, spent, record, allow_unsolved=allow_unsolved), note)
        again = sampler.draw(FRESH, {i: range(fresh) for i in chosen.order[:picks] if i not in hopeless})
    note(f"probe: {spent:,} samples chose, {len(again):,} fresh ones rate them; {sampler.reused:,} were known")
    return PoolProbe(
        ranked=_found(chosen, problems, again, fresh),
        samples=spent,
        fresh=len(again),
        reused=sampler.reused,
        decided=chosen.settled,
        warnings=tuple(warnings),
    )


def _tell(sentences: Sequence[str], note: Callable[[str], None]) -> Sequence[str]:
    for said in sentences:
        note(said)
    return sentences


def _found(chosen: Chosen, problems: Sequence[Problem], again: Sequence[Sample], fresh: int) -> list[Found]:
    """The problems by rank, with what chose them and, apart, what was sampled afresh."""
    rated, seen = Counter(s.index for s in again if s.correct), {s.index for s in again}
    answers: dict[int, Counter[str]] = {}
    for sample in again:
        if sample.answer is not None:
            answers.setdefault(sample.index, Counter())[sample.answer] += 1
    return [
        Found(
            rank=rank,
            index=i,
            problem=problems[i],
            successes=int(chosen.successes_P[i]),
            samples=int(chosen.samples_P[i]),
            answers=dict(chosen.answers.get(i, Counter()).most_common()),
            tie_first=int(chosen.first_P[i]),
            tie_last=int(chosen.last_P[i]),
            fresh_successes=rated[i],
            fresh_samples=fresh if i in seen else 0,
            fresh_answers=dict(answers.get(i, Counter()).most_common()),
        )
        for rank, i in enumerate(chosen.order, start=1)
    ]


def _opening(rule: Rule, by: str, size: int, record: ProbeRecord, fresh: int) -> str:
    known = f"; {len(record):,} samples are there" if len(record) else ""
    what = f"{rule.top} nearest to a pass rate of {rule.target:g}"
    if by:
        what = f"{rule.top} with the largest {by}, equally many of each problem"
    return (
        f"probe: {size:,} problems, at most {rule.budget:,} samples for the {what}, then up to {fresh:,} fresh ones; "
        f"record {record.path}{known}"
    )
