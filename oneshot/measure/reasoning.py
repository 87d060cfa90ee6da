"""How much of a gain is form, and how much is left against the best that the base model does without being trained.

    gain_total      strict(trained) - strict(base)
    gain_format     max(lenient(base), forced(base), format-only training) - strict(base)
    gain_reasoning  lenient(trained) - max(lenient, forced, best prompt, in-context example, format-only training)

`strict` counts a complete box only, `lenient` an answer outside a box too, `forced` a box that was forced where there
was none. Baselines with another prompt or other weights are graded leniently, like the trained model. The largest
baseline is the one with the largest mean on these very problems. In `gain_reasoning` that choice favours the baseline,
so this gain is conservative; in `gain_format` the chosen one is the gain itself, which therefore errs upwards.

Where neither the reward nor the grader asks for a box there is none to split off (`form_gains.split_of`): then strict
and lenient are both the evaluation's own grade (`own`), and form is what a forced box or training on form alone gives.

A remainder is a gain that these baselines do not explain. It is no proof of reasoning: see `docs/compare.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oneshot.measure import grades
from oneshot.measure.decompose import share
from oneshot.measure.differences import JUDGED, NOT_TESTED, OverSeeds, claimed, over_seeds
from oneshot.measure.gains import Paired, paired
from oneshot.measure.multiplicity import holm
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]

LENIENT, FORCED, PROMPT, ICL, FORMAT = "lenient", "forced", "prompt", "icl", "format"
OWN = "own"
"""In place of `LENIENT` where no box is split off."""
OF_FORMAT = (LENIENT, FORCED, FORMAT)
"""Baselines that `gain_format` needs."""
OF_REASONING = (LENIENT, FORCED, PROMPT, ICL, FORMAT)
"""Baselines that `gain_reasoning` needs."""
WORDS: Mapping[str, str] = {
    LENIENT: "the lenient grade of base",
    OWN: "base as it stands",
    FORCED: "a forced box",
    PROMPT: "the best prompt of the list",
    ICL: "the example in the prompt",
    FORMAT: "training on format alone",
}
BEYOND = "a gain beyond these baselines on this task"
"""What a supported `gain_reasoning` is."""
NEEDED = "a claim of reasoning needs it on a second set too, outside the training domain or freshly generated"


@dataclass(frozen=True, kw_only=True)
class Gain:
    """One of the three gains."""

    name: str
    paired: Paired
    """What is compared: `base` is the baseline chosen, `trained` the other side."""
    against: str
    """Of the baselines the one with the largest mean; `strict` for the total (`own` where no box is split off)."""
    values: Mapping[str, float]
    """The mean of every baseline that was tested."""
    missing: tuple[str, ...] = ()
    """Baselines that were not tested."""
    effects: tuple[float, ...] = ()
    """The gain of each run, where there are several; of `gain_format` none, since it compares the base with itself."""
    seeds: OverSeeds | None = None
    """New seeds; None where there is one run."""
    doubt: str = ""
    """Why several runs are no training seeds."""
    room: bool = True
    """False where the control cannot be told from chance."""
    holm: float = 1.0
    """p adjusted over the gains of a whole table (`adjusted`)."""

    @property
    def p_value(self) -> float:
        """Of new seeds where there are several runs, else of this run."""
        return self.seeds.p_value if self.seeds else self.paired.p_value

    @property
    def claim(self) -> str:
        """`supported, this run` and the like; where a baseline is missing, beyond what it was not tested."""
        if self.missing:
            return f"{NOT_TESTED} beyond {', '.join(self.values)}"
        badge = NOT_TESTED if self.doubt else self.seeds.badge if self.seeds else self.paired.badge
        word = claimed(badge, self.holm, room=self.room)
        return f"{word}, {'new seeds' if self.seeds else 'this run'}" if word in JUDGED else word

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every field and the claim."""
        own = {"against": self.against, "values": dict(self.values), "missing": list(self.missing)}
        seeds = self.seeds.as_dict() if self.seeds else None
        tested = {"paired": self.paired.as_dict(), "seeds": seeds, "p_value": self.p_value, "p_holm": self.holm}
        return {**own, "claim": self.claim, **tested}


def gains_of(
    base: Rows,
    trained: Rows,
    others: Mapping[str, Rows] | None = None,
    *,
    samples: int = 0,
    runs: Sequence[tuple[Rows, Rows]] = (),
    doubt: str = "",
    room: bool = True,
    boxed: bool = True,
) -> dict[str, Gain]:
    """The gains that the recorded grades allow, by name; without strict and lenient grades there is none.

    Where no box is split off, and neither a forced box nor training on form was measured, there is no `gain_format`.

    Args:
        base: the untrained model; its grades are in `meta` (`boxed`, `lenient`, and `forced` where it was asked for).
        trained: the trained model, or several runs of it.
        others: `prompt`, `icl`, `format` -> responses of these baselines to the same problems, those that there are.
        samples: of one run, as of `gains.paired`.
        runs: base and trained of each run, where there are several.
        doubt: why these are no training seeds; nothing is then claimed of the trained model.
        room: whether the base can be told from chance.
        boxed: whether what a box alone gives is form; else strict and lenient are both the evaluation's own grade.

    Raises:
        UsageError: E103 where two evaluations hold different problems.
    """
    assert len(runs) != 1, "one run is base and trained themselves"
    if boxed and not graded_twice(base, trained):
        return {}
    strict, lenient = (grades.strict_box, grades.lenient) if boxed else (grades.is_right, grades.is_right)
    first = LENIENT if boxed else OWN
    arms = {first: grades.graded_as(base, lenient)}
    if grades.recorded(base, FORCED):
        arms[FORCED] = grades.graded_as(base, grades.forced)
    for name, rows in (others or {}).items():
        assert name in OF_REASONING, name
        if not boxed or grades.recorded(rows, "lenient"):
            arms[name] = grades.graded_as(rows, lenient)
    leniently = [grades.graded_as(rows, lenient) for _, rows in runs]
    total = Gain(
        name="gain_total",
        paired=paired(base, trained, right=strict, samples=samples),
        against="strict" if boxed else OWN,
        values={"strict" if boxed else OWN: _mean(grades.graded_as(base, strict))},
        effects=tuple(paired(*pair, right=strict).estimate for pair in runs),
    )
    of_format, of_reasoning = ((first, *several[1:]) for several in (OF_FORMAT, OF_REASONING))
    form = _gain_format(grades.graded_as(base, strict), arms, of_format, samples)
    beyond = _gain_reasoning(grades.graded_as(trained, lenient), arms, of_reasoning, samples, leniently)
    found = [_seeded(total, doubt), *([] if set(form.values) == {OWN} else [form]), _seeded(beyond, doubt)]
    return {gain.name: replace(gain, room=room) for gain in found}


def graded_twice(*evaluations: Rows) -> bool:
    """Whether every response has the strict (boxed) and the lenient grade."""
    return all(grades.recorded(rows, key) for rows in evaluations for key in ("boxed", "lenient"))


def adjusted(gains: Sequence[Gain]) -> list[Gain]:
    """The same with Holm's p: one family of all gains of a table that may be claimed, beside the table's own family.

    A gain with a missing baseline claims nothing and is no member.
    """
    claims = [gain.p_value for gain in gains if not gain.missing]
    p_values = iter(holm(claims))
    return [gain if gain.missing else replace(gain, holm=next(p_values)) for gain in gains]


def _gain_format(strict: Rows, arms: Mapping[str, Rows], wanted: Sequence[str], samples: int) -> Gain:
    values = {name: _mean(arms[name]) for name in wanted if name in arms}
    best = max(values, key=lambda name: values[name])
    return Gain(
        name="gain_format",
        paired=paired(strict, arms[best], samples=samples),
        against=best,
        values=values,
        missing=tuple(name for name in wanted if name not in arms),
    )


def _gain_reasoning(
    trained: Rows, arms: Mapping[str, Rows], wanted: Sequence[str], samples: int, runs: Sequence[Rows]
) -> Gain:
    values = {name: _mean(arms[name]) for name in wanted if name in arms}
    best = max(values, key=lambda name: values[name])
    return Gain(
        name="gain_reasoning",
        paired=paired(arms[best], trained, samples=samples),
        against=best,
        values=values,
        missing=tuple(name for name in wanted if name not in arms),
        effects=tuple(paired(arms[best], rows).estimate for rows in runs),
    )


def _seeded(gain: Gain, doubt: str) -> Gain:
    """The gain with what its runs say about new seeds, as far as they are seeds."""
    if len(gain.effects) < 2 or doubt:
        return replace(gain, doubt=doubt)
    pair = gain.paired
    over = over_seeds(gain.effects, low=pair.ci_low, high=pair.ci_high, p_value=pair.p_value)
    return replace(gain, seeds=over)


def _mean(rows: Rows) -> float:
    """Accuracy, every problem weighing the same."""
    return share(rows, grades.is_right).estimate
