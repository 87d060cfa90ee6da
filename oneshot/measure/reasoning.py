"""How much of a gain is form, and how much is left against the best that the base model does without being trained.

    gain_total      strict(trained) - strict(base)
    gain_format     max(lenient(base), forced(base), format-only training) - strict(base)
    gain_reasoning  lenient(trained) - max(lenient, forced, best prompt, in-context example, format-only training)

`strict` counts a complete box only, `lenient` an answer outside a box too, `forced` a box that was forced where there
was none. Baselines with another prompt or other weights are graded leniently, like the trained model. The largest
baseline is the one with the largest mean on these very problems; that choice favours the baseline, so the gain against
it is conservative. Each gain has a paired interval over the problems of this run.

A remainder is a gain that these baselines do not explain. It is no proof of reasoning: see `docs/compare.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneshot.measure import grades
from oneshot.measure.decompose import share
from oneshot.measure.gains import Paired, paired
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]

LENIENT, FORCED, PROMPT, ICL, FORMAT = "lenient", "forced", "prompt", "icl", "format"
OF_FORMAT = (LENIENT, FORCED, FORMAT)
"""Baselines that `gain_format` needs."""
OF_REASONING = (LENIENT, FORCED, PROMPT, ICL, FORMAT)
"""Baselines that `gain_reasoning` needs."""
WORDS: Mapping[str, str] = {
    LENIENT: "the lenient grade of base",
    FORCED: "a forced box",
    PROMPT: "the best prompt of the list",
    ICL: "the example in the prompt",
    FORMAT: "training on format alone",
}


@dataclass(frozen=True, kw_only=True)
class Gain:
    """One of the three gains."""

    name: str
    paired: Paired
    """What is compared: `base` is the baseline chosen, `trained` the other side."""
    against: str
    """Of the baselines the one with the largest mean; `strict` for the total."""
    values: Mapping[str, float]
    """The mean of every baseline that was tested."""
    missing: tuple[str, ...] = ()
    """Baselines that were not tested."""

    @property
    def claim(self) -> str:
        """`supported`, `harmed` or `inconclusive` in this run; where a baseline is missing, what was not tested."""
        if self.missing:
            return f"not tested beyond {', '.join(self.values)}"
        return self.paired.badge

    def as_dict(self) -> dict[str, Any]:
        """JSON form: every field and the claim."""
        own = {"against": self.against, "values": dict(self.values), "missing": list(self.missing)}
        return {**own, "claim": self.claim, "paired": self.paired.as_dict()}


def gains_of(base: Rows, trained: Rows, others: Mapping[str, Rows] | None = None) -> dict[str, Gain]:
    """The gains that the recorded grades allow, by name; without strict and lenient grades there is none.

    Args:
        base: the untrained model; its grades are in `meta` (`boxed`, `lenient`, and `forced` where it was asked for).
        trained: the trained model.
        others: `prompt`, `icl`, `format` -> responses of these baselines to the same problems, those that there are.

    Raises:
        UsageError: E103 where two evaluations hold different problems.
    """
    if not all(grades.recorded(rows, key) for rows in (base, trained) for key in ("boxed", "lenient")):
        return {}
    strict, strictly_trained = (grades.graded_as(rows, grades.strict_box) for rows in (base, trained))
    arms = {LENIENT: grades.graded_as(base, grades.lenient)}
    if grades.recorded(base, FORCED):
        arms[FORCED] = grades.graded_as(base, grades.forced)
    for name, rows in (others or {}).items():
        assert name in OF_REASONING, name
        if grades.recorded(rows, "lenient"):
            arms[name] = grades.graded_as(rows, grades.lenient)
    found = [
        Gain(
            name="gain_total",
            paired=paired(strict, strictly_trained),
            against="strict",
            values={"strict": _mean(strict)},
        ),
        _gain_format(strict, {name: arms[name] for name in OF_FORMAT if name in arms}),
        _gain_reasoning(grades.graded_as(trained, grades.lenient), {n: arms[n] for n in OF_REASONING if n in arms}),
    ]
    return {gain.name: gain for gain in found}


def _gain_format(strict: Rows, arms: Mapping[str, Rows]) -> Gain:
    values = {name: _mean(rows) for name, rows in arms.items()}
    best = max(values, key=lambda name: values[name])
    return Gain(
        name="gain_format",
        paired=paired(strict, arms[best]),
        against=best,
        values=values,
        missing=tuple(name for name in OF_FORMAT if name not in arms),
    )


def _gain_reasoning(trained: Rows, arms: Mapping[str, Rows]) -> Gain:
    values = {name: _mean(rows) for name, rows in arms.items()}
    best = max(values, key=lambda name: values[name])
    return Gain(
        name="gain_reasoning",
        paired=paired(arms[best], trained),
        against=best,
        values=values,
        missing=tuple(name for name in OF_REASONING if name not in arms),
    )


def _mean(rows: Rows) -> float:
    """Accuracy, every problem weighing the same."""
    return share(rows, grades.is_right).estimate
