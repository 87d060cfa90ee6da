"""How often the intervals of `oneshot eval` and `oneshot compare` hold the truth, in a seeded simulation.

    python benchmarks/coverage.py [--repeats 2000] [--store] [--json] [--smoke]

A problem has a rate at which a model solves it; the rates of n problems are drawn from a Beta distribution, then the
responses. The truth is the mean over that distribution, so the interval has to cover both the choice of the problems
and the sampling. `kinds` are difficulties: hard (Beta(.25, 1.4), mean .15, most problems never solved), mixed
(Beta(.3, .5), mean .38), easy (Beta(2, 1), mean .67); of a pair of models, before to after. In a pair a problem keeps
its rate with chance `KEPT`, else it is drawn anew for the second model, so outputs are correlated as two checkpoints'
are, and the truth is (1 - KEPT) times the difference of the means. Two more kinds are shown without a goal, since what
can be known is coarse there: rare (Beta(.1, 3), mean .03) and solved (Beta(20, 1), mean .95). Two suites have tasks
of fixed sizes: the six of the paper for a model that hardly ever solves AIME, and four tasks, two of them rare.

The functions called are the ones that are shipped. Goal: 93 to 97 % from 200 problems on; 15, 30 and 100 are shown as
they are. `width` is the mean width in points. For paired intervals `ratio` is their width over that of Newcombe's
interval for two independent shares (Stat. Med. 1998), made of the two single intervals: below 1 is what pairing gains.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from difficulties import BETAS, KEPT, SAMPLES, SUITES, Counts, gap, mean_of, solved, solved_twice
from sides import options, seconds, tell

from oneshot.measure.pass_at_k import pass_curve
from oneshot.measure.repeated import mean_score, paired_interval
from oneshot.measure.statistics import Interval, bonett_price, macro_average, macro_mean

PROBLEMS = (15, 30, 100, 200, 500)
REPEATS, FROM, LOW, HIGH = 2_000, 200, 0.93, 0.97
TRIES = 4
"""The k of pass@k."""
EDGES = ("rare", "solved")
SIX = ("mixed", "hard", "hard", "mixed", "hard", "easy")
"""The six tasks of a macro average."""


def share(counts: Counts, samples: int) -> Interval:
    """avg@k of counts."""
    return mean_score((counts / samples).tolist(), samples)


def paired(before: Counts, after: Counts, samples: int) -> Interval:
    """The interval that `compare` gives: Bonett-Price for one sample a problem, else t."""
    if samples == 1:
        return bonett_price(int((after > before).sum()), int((after < before).sum()), len(before))
    return paired_interval(((after - before) / samples).tolist(), samples)


def unpaired_width(first: Interval, second: Interval) -> float:
    """The width of Newcombe's interval for the difference of two independent shares."""
    below = math.hypot(second.estimate - second.low, first.high - first.estimate)
    return below + math.hypot(second.high - second.estimate, first.estimate - first.low)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One interval under one kind of difficulty."""

    interval: str
    kinds: str
    truth: float
    draw: Callable[[np.random.Generator, int], tuple[Interval, float]]
    """(random numbers, n) -> the interval, and the width of the unpaired one (NaN where there is none)."""


def alone(kind: str, samples: int) -> Case:
    """One model: Wilson, or avg@k."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Interval, float]:
        return share(solved(rng, kind, n, samples), samples), math.nan

    name = "one sample: Wilson" if samples == 1 else f"avg@{samples}: Wilson, n_eff"
    return Case(interval=name, kinds=kind, truth=mean_of(kind), draw=draw)


def tries(kind: str) -> Case:
    """pass@k; E[(1-p)^k] of Beta(a, b) is the product over i < k of (b + i)/(a + b + i)."""
    a, b = BETAS[kind]
    missed = math.prod((b + i) / (a + b + i) for i in range(TRIES))

    def draw(rng: np.random.Generator, n: int) -> tuple[Interval, float]:
        counts = [(SAMPLES, int(c)) for c in solved(rng, kind, n, SAMPLES)]
        return pass_curve(counts, [TRIES])[TRIES], math.nan

    return Case(interval=f"pass@{TRIES} of {SAMPLES}: Wilson, n_eff", kinds=kind, truth=1 - missed, draw=draw)


def pair(kinds: tuple[str, str], samples: int) -> Case:
    """Two models on the same problems."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Interval, float]:
        before, after = solved_twice(rng, kinds, n, samples)
        apart = unpaired_width(share(before, samples), share(after, samples))
        return paired(before, after, samples), apart

    name = "paired, one sample: Bonett-Price" if samples == 1 else f"paired, {samples} samples: t"
    return Case(interval=name, kinds=f"{kinds[0]} to {kinds[1]}", truth=gap(kinds), draw=draw)


def six(samples: int) -> Case:
    """The mean of six tasks of one model."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Interval, float]:
        return macro_mean([share(solved(rng, kind, n, samples), samples) for kind in SIX]), math.nan

    name = f"mean of six tasks, {samples} sample{'s' * (samples > 1)}: Wilson, n_eff"
    return Case(interval=name, kinds="six kinds", truth=float(np.mean([mean_of(kind) for kind in SIX])), draw=draw)


def suite(name: str) -> Case:
    """The mean of the tasks of a suite of `SUITES`."""
    tasks = SUITES[name]

    def draw(rng: np.random.Generator, n: int) -> tuple[Interval, float]:
        assert n == sum(size for size, _, _ in tasks), n
        return macro_mean([share(solved(rng, kind, size, k), k) for size, k, kind in tasks]), math.nan

    truth = float(np.mean([mean_of(kind) for _, _, kind in tasks]))
    return Case(interval="mean of a suite: Wilson, n_eff", kinds=name, truth=truth, draw=draw)


def six_pairs(samples: int) -> Case:
    """The mean of six paired differences: every task gets one step easier."""
    easier = {"hard": "mixed", "mixed": "easy", "easy": "easy"}
    steps = [(kind, easier[kind]) for kind in SIX]

    def draw(rng: np.random.Generator, n: int) -> tuple[Interval, float]:
        return macro_average([paired(*solved_twice(rng, kinds, n, samples), samples) for kinds in steps]), math.nan

    name = f"paired, six tasks, {samples} sample{'s' * (samples > 1)}: root of squared SEs"
    return Case(interval=name, kinds="six kinds", truth=float(np.mean([gap(kinds) for kinds in steps])), draw=draw)


def cases() -> list[Case]:
    """All that is simulated; those of `EDGES` come last in each group."""
    pairs: tuple[tuple[str, str], ...] = (("hard", "hard"), ("hard", "mixed"), ("mixed", "easy"), ("rare", "rare"))
    return [
        *(alone(kind, samples) for samples in (1, SAMPLES) for kind in BETAS),
        *(tries(kind) for kind in BETAS),
        *(pair(kinds, samples) for samples in (1, SAMPLES) for kinds in pairs),
        *(six(samples) for samples in (1, SAMPLES)),
        *(six_pairs(samples) for samples in (1, SAMPLES)),
    ]


def shaped() -> list[tuple[Case, int]]:
    """The suites, with their problems in all."""
    return [(suite(name), sum(size for size, _, _ in tasks)) for name, tasks in SUITES.items()]


def measure(case: Case, n: int, repeats: int) -> dict[str, Any]:
    """Coverage, mean width and misses on each side; seeded by the case's name and n."""
    rng = np.random.default_rng([zlib.crc32(f"{case.interval}, {case.kinds}".encode()), n])
    found = [case.draw(rng, n) for _ in range(repeats)]
    above = sum(interval.low > case.truth for interval, _ in found) / repeats
    below = sum(interval.high < case.truth for interval, _ in found) / repeats
    width = float(np.mean([interval.high - interval.low for interval, _ in found]))
    apart = float(np.mean([width for _, width in found]))
    row: dict[str, Any] = {"interval": case.interval, "kinds": case.kinds, "problems": n, "truth": case.truth}
    row |= {"coverage": 1 - above - below, "too_high": above, "too_low": below, "width": width}
    return row if math.isnan(apart) else row | {"ratio": width / apart}


def has_goal(row: dict[str, Any]) -> bool:
    """Whether the coverage has to be near 95 %: enough problems, and not nearly all of them alike."""
    return bool(row["problems"] >= FROM and not any(kind in row["kinds"] for kind in EDGES))


def good(row: dict[str, Any]) -> bool:
    """Whether the goal is met, or there is none."""
    return not has_goal(row) or bool(LOW <= round(row["coverage"], 9) <= HIGH)


def show(rows: Sequence[dict[str, Any]]) -> str:
    """One line of the table, a case at every number of problems: * meets the goal, ! misses it, else there is none."""
    coverage = " ".join(
        f"{row['coverage']:7.1%}{'!' if not good(row) else '*' if has_goal(row) else ' '}" for row in rows
    )
    last = rows[-1]
    if len(rows) == 1:
        coverage += f" of {last['problems']} problems"
    ratio = f"{last['ratio']:7.2f}" if "ratio" in last else " " * 7
    return (
        f"{last['interval']:50} {last['kinds']:16} {last['truth']:6.3f} {coverage} {100 * last['width']:7.1f} {ratio}"
    )


def main() -> None:
    """Simulate, print, say whether the goals are met."""
    given = options(__doc__, repeats=REPEATS).parse_args()
    problems, repeats = ((15, 200), 20) if given.smoke else (PROBLEMS, given.repeats)
    table: list[list[dict[str, Any]]] = []

    def work() -> None:
        table.extend([measure(case, n, repeats) for n in problems] for case in cases())
        table.extend([measure(case, n, repeats)] for case, n in shaped())

    spent = seconds(work)
    rows = [row for line in table for row in line]
    missed = [row for row in rows if not good(row)]
    wider = [row for row in rows if row.get("ratio", 0) >= 1]
    if not given.json:
        print(f"{repeats:,} repetitions each, {spent:.0f} s; width and ratio are those of {problems[-1]} problems")
        heads = " ".join(f"{n:>7} " for n in problems)
        print(f"{'interval':50} {'kinds':16} {'truth':>6} {heads} {'width':>7} {'ratio':>7}")
        print("\n".join(map(show, table)))
        if not given.smoke:
            count = sum(map(has_goal, rows))
            print(f"goal, {LOW:.0%} to {HIGH:.0%} from {FROM} problems on: {count - len(missed)} of {count}")
            every = sum("ratio" in row for row in rows)
            print(f"goal, paired narrower than unpaired: {every - len(wider)} of {every}")
    result = {
        "smoke": given.smoke,
        "repeats": repeats,
        "samples": SAMPLES,
        "kept": KEPT,
        "betas": {kind: list(shape) for kind, shape in BETAS.items()},
        "rows": rows,
        "goal": [LOW, HIGH, FROM],
        "met": not missed and not wider,
        "seconds": spent,
    }
    tell("coverage", result, store=given.store)


if __name__ == "__main__":
    main()
