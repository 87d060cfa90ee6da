"""The control arm of one run: what it takes from the base model's samples, what it pays, where responses come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from oneshot.data.corruption import TRUE_ANSWER
from oneshot.errors import DataError, UsageError
from oneshot.measure.statistics import wilson
from oneshot.record import RunFolder
from oneshot.rewards import controls
from oneshot.rewards.controls import Pay
from oneshot.rewards.verifier import self_check
from oneshot.rollout.collect import graded
from oneshot.stages.loop import TrainParts, build_sampling
from oneshot.stages.probing.probe import Prober
from oneshot.stages.setup import Setup
from oneshot.stages.training import imitation
from oneshot.stages.training.controls import across
from oneshot.stages.training.preflight import EACH
from oneshot.types import Group, Problem, Verifier

AGAIN = 4
"""Round of sampling for those examples of a pool that the preflight did not sample."""
MOST_FORM = 0.95
"""Base rate of the form above which paying it could teach nothing."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """The control arm of one run, also of a normal one, where every method leaves things as they are."""

    setup: Setup
    run: RunFolder
    problems: Sequence[Problem]
    note: Callable[[str], None]

    @property
    def name(self) -> str:
        """Of the arm; empty for a normal run."""
        return self.setup.config.reward.control

    def look(self, groups: Sequence[Group]) -> None:
        """Take what the arm needs from the base model's samples of the preflight, and record it.

        Raises:
            DataError: E306 no wrong answer was seen, E307 nearly every response has the form already.
        """
        if self.name == "wrong":
            self._wrong(groups)
        elif self.name == "format":
            self._form(groups)
        elif self.name == "unguessable":
            self._record(labels=self._unguessable())
        elif self.name and self.name != "rft":  # which records what it collects
            self._record()

    def _record(self, **found: Any) -> None:
        self.run.event("control", name=self.name, **found)

    def _prober(self) -> Prober:
        setup = self.setup
        sampling = build_sampling(setup.config)
        return Prober(engine=setup.engine, render=setup.render, verify=setup.names.verify, sampling=sampling)

    def _wrong(self, groups: Sequence[Group]) -> None:
        seen = {group.problem.id for group in groups}
        if rest := [problem for problem in self.problems if problem.id not in seen]:
            groups = [*groups, *self._prober().groups(rest, EACH, round=AGAIN)]
        labels, samples = controls.wrong_answers(groups, self._statable), sum(len(g.completions) for g in groups)
        if not labels:
            raise DataError(
                f"--control wrong: in {samples} samples the base model gave no wrong answer that could be rewarded.",
                code="E306",
                tries=("--control unguessable", "--control shuffled", "a longer --rollout.max-new-tokens"),
                kept="Nothing was trained.",
            )
        self._record(labels=labels, samples=samples)
        first = next(iter(labels.values()))
        without = len(self.problems) - len(labels)
        more = f"; {without} of {len(self.problems)} examples have none and pay nothing" if without else ""
        what = f"{first!r}" if len(self.problems) == 1 else f"{len(labels)} labels"
        self.note(f"wrong: the base model's most frequent wrong answer is paid, {what}{more}")

    def _statable(self, answer: str) -> bool:
        """Whether the grader could match this as a label."""
        try:
            self_check(self.setup.names.verify, answer)
        except DataError:
            return False
        return True

    def _form(self, groups: Sequence[Group]) -> None:
        rule = controls.form_of(self.setup.config.reward.name)
        assert rule is not None, "a reward without a form was refused"
        held = [rule(c) for group in groups for c in group.completions]
        share, interval = fmean(held), wilson(sum(held), len(held))
        self._record(base_rate=share, ci_low=interval.low, ci_high=interval.high, samples=len(held))
        told = (
            f"{sum(held)} of {len(held)} responses of the base model have the form already "
            f"(95 % interval {interval.low:.0%} to {interval.high:.0%})"
        )
        self.note(f"format: {told}")
        if share > MOST_FORM:
            raise DataError(
                f"--control format: {told}; above {MOST_FORM:.0%} paying it teaches nothing, and the arm would be read "
                "as one that does not help.",
                code="E307",
                tries=("--control shuffled", "--reward number   (another form)"),
                kept="Nothing was trained.",
            )

    def _unguessable(self) -> dict[str, str]:
        answers = {p.id: str(p.meta.get(TRUE_ANSWER, p.answer)) for p in self.problems}
        return {problem: controls.unguessable(problem, answer) for problem, answer in answers.items()}

    def trained_on(self) -> Sequence[Problem]:
        """The examples that are trained on: for `rft` those with a right response of the base model.

        Raises:
            DataError: E303 when there is none.
        """
        if self.name != "rft":
            return self.problems
        right = self._right()
        return [problem for problem in self.problems if problem.id in right]

    def _right(self) -> imitation.Right:
        return imitation.right_responses(self._prober, self.problems, self.run, self.note)

    def parts(self, parts: TrainParts) -> TrainParts:
        """The parts of the loop with what the arm pays, where its responses come from, and what is measured beside."""
        if any(TRUE_ANSWER in problem.meta for problem in self.problems):
            parts = replace(parts, also=true_accuracy(self.setup.names.verify))
        if self.name == "rft":
            config, trained = self.setup.config, self.trained_on()
            recorded = imitation.engine(self._right(), trained, self.setup.render, config.seed)
            parts = replace(parts, engine=recorded)
        return replace(parts, pay=self._pay())

    def _pay(self) -> Pay:
        seed = self.setup.config.seed
        rule = controls.form_of(self.setup.config.reward.name)
        if self.name == "format" and rule is not None:
            return controls.form(rule)
        if self.name in ("wrong", "unguessable"):
            return controls.against(self._labels(), self._score)
        kinds: Mapping[str, Pay] = {
            "shuffled": controls.shuffled(seed, across=across(self.setup.config)),
            "random": controls.coin(seed),
            "majority": controls.majority,
            "rft": controls.right_only,
        }
        return kinds.get(self.name, controls.identity)

    def _labels(self) -> dict[str, str]:
        """As the preflight recorded them, so that a resumed run pays the same."""
        events = [e for e in self.run.events() if e["kind"] == "control" and e.get("name") == self.name]
        if not events:
            raise UsageError(
                f"{self.run.path.name} does not record which answers its control arm {self.name} pays.",
                code="E107",
                tries=("start a new run",),
                kept="Nothing was changed.",
            )
        labels: dict[str, str] = events[-1]["labels"]
        return labels

    def _score(self, response: str, wanted: str) -> float:
        verdict = graded(self.setup.names.verify, response, wanted, f"the control arm {self.name}")
        return float(verdict.correct) if verdict.score is None else verdict.score


def true_accuracy(verify: Verifier) -> Callable[[Sequence[Group]], dict[str, float]]:
    """Measures, where labels are corrupted, the share of a step's responses that is right by the true ones."""

    def measure(groups: Sequence[Group]) -> dict[str, float]:
        right = []
        for group in groups:
            true = group.problem.meta.get(TRUE_ANSWER)
            for c in group.completions:
                verdict = c.verdict if true is None else graded(verify, c.text, str(true), "the true answer")
                right.append(float(verdict is not None and verdict.correct))
        return {"train/true_accuracy": fmean(right)}

    return measure
