"""The gains of a comparison: how much of a difference is form, against the baselines that were recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oneshot.errors import OneshotError
from oneshot.measure import form_gains, grades, reasoning
from oneshot.measure.decompose import share
from oneshot.measure.pairing import matched_problems
from oneshot.measure.reasoning import Gain
from oneshot.stages.comparing import format as compare_format
from oneshot.stages.comparing.match import Matched, differences
from oneshot.stages.comparing.models import BASE, Arm, Evaluation, Model, evals_of
from oneshot.stages.comparing.numbers import Line, sides
from oneshot.types import EvalRow

Rows = Sequence[EvalRow]
Gains = Mapping[tuple[str, str], Mapping[str, Gain]]
"""(task, letter of the arm) -> name -> gain."""
ICL, PROMPT = f"{BASE}+icl", f"{BASE}+prompt-"
"""Checkpoint names of the baselines without training."""


@dataclass
class Table:
    """The gains of every task and arm, Holm's p over all of them: a family of its own, beside the table's claims."""

    arms: Sequence[Arm]
    format_only: Model | None
    notes: list[str]
    found: dict[tuple[str, str], dict[str, Gain]] = field(default_factory=dict)

    def add(self, task: Matched, line: Line) -> None:
        """Measure the gains of every arm on a task.

        There are some where the control is the base model and the arm a checkpoint that a run wrote, which began with
        that model; of other models it is not known that training made the difference.
        """
        control = self.arms[0]
        if any(model.checkpoint != BASE for model in control.models):
            return
        first = task.arms[control.letter][0]
        for arm in self.arms[1:]:
            if not all(model.trained for model in arm.models):
                continue
            if any(compare_format.began_with(model, first) is False for model in arm.models):
                said = f"{arm.letter} did not begin with the weights of {control.letter}, so no gain is shown"
                self.notes.append(f"{task.name}: {said}.")
                continue
            self.found[task.name, arm.letter] = self._of(task, arm, line)

    def _of(self, task: Matched, arm: Arm, line: Line) -> dict[str, Gain]:
        control, trained, claim = task.arms[self.arms[0].letter], task.arms[arm.letter], line.claims[arm.letter]
        several = [*control] * len(trained) if len(control) == 1 else control
        before, after, samples = sides(control, trained)
        runs = [(a.rows, b.rows) for a, b in zip(several, trained, strict=True)] if len(trained) > 1 else []
        boxed = self._split(task, arm, before, after)
        others = self._baselines(control[0], boxed)
        return reasoning.gains_of(
            before, after, others, samples=samples, runs=runs, doubt=claim.doubt, room=claim.room, boxed=boxed
        )

    def _split(self, task: Matched, arm: Arm, before: Rows, after: Rows) -> bool:
        """Whether what a box alone gives is form, as the page of a run has it; why is told in a note.

        Of runs with several rewards it is where it is for one of them.
        """
        read = (*task.arms[self.arms[0].letter], *task.arms[arm.letter])
        graders = list(dict.fromkeys(str(one.protocol.get("grader") or "") for one in read))
        rewards = dict.fromkeys(form_gains.reward_of(model.config()) for model in arm.models)
        several = [form_gains.split_of(reward, graders, before, after) for reward in rewards]
        found = next((one for one in several if one.box), several[0])
        if found.note:
            self.notes.append(f"{task.name}, gains of {arm.letter}: {found.note}")
        return found.box

    def adjusted(self) -> Gains:
        """All of them with Holm's p."""
        keys = [(key, name) for key, several in self.found.items() for name in several]
        told = iter(reasoning.adjusted([self.found[key][name] for key, name in keys]))
        return {key: {name: next(told) for name in several} for key, several in self.found.items()}

    def _baselines(self, control: Evaluation, boxed: bool) -> dict[str, Rows]:
        """The recorded baselines of the base model on a task: beside it, or in the folder of another arm.

        One that was measured under another protocol is left out, with a note; one of another base model without one.
        Of several prompts the best is taken, read as the gains read it.
        """
        read: dict[str, list[Evaluation]] = {}
        stores = {str(model.store.path): model for arm in self.arms for model in arm.models}
        for model in stores.values():
            for task, checkpoint in evals_of(model.store):
                kind = reasoning.ICL if checkpoint == ICL else reasoning.PROMPT if checkpoint.startswith(PROMPT) else ""
                if task == control.task and kind:
                    self._add(read, kind, control, model.at(checkpoint))
        if self.format_only is not None and control.task in self.format_only.tasks():
            self._add(read, reasoning.FORMAT, control, self.format_only)
        elif self.format_only is not None:
            self.notes.append(f"{self.format_only.name} was not evaluated on {control.task}.")
        value = _lenient if boxed else _own
        return {kind: max(several, key=value).rows for kind, several in read.items()}

    def _add(self, read: dict[str, list[Evaluation]], kind: str, control: Evaluation, model: Model) -> None:
        """Keep a baseline that is comparable with the control; else say why not."""
        try:
            evaluation = model.read(control.task)
            if model.untrained and _weights(evaluation) != _weights(control):
                return
            matched_problems(control.rows, evaluation.rows)
        except OneshotError as error:
            self.notes.append(f"{model.name} on {control.task} is left out: {error.message}")
            return
        told = [what for what, _, _ in differences(control, evaluation, varied=model.varied)]
        if told:
            self.notes.append(f"{model.name} on {control.task} is left out: other {', '.join(told)}.")
        else:
            read.setdefault(kind, []).append(evaluation)


def _lenient(evaluation: Evaluation) -> float:
    right = grades.lenient if grades.recorded(evaluation.rows, "lenient") else grades.is_right
    return share(evaluation.rows, right).estimate


def _own(evaluation: Evaluation) -> float:
    return share(evaluation.rows, grades.is_right).estimate


def _weights(evaluation: Evaluation) -> object:
    """Which model answered."""
    protocol = evaluation.protocol
    return protocol.get("weights") or protocol.get("model")
