"""What a run reads before step 0, in between and at its end: the dev set, which chooses, and the test tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from oneshot.model.fingerprint import fingerprint
from oneshot.record import RunFolder
from oneshot.stages.evals import best
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.evaluation import measure
from oneshot.stages.evals.progress import Lines
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from oneshot.stages.signals import StopRequest
from oneshot.stages.training import tasks as training_tasks
from oneshot.types import Problem


@dataclass(frozen=True, kw_only=True)
class Readings:
    """The sets of one run. An evaluation that is recorded is never made again."""

    setup: Setup
    run: RunFolder
    held_out: Sequence[Problem]
    """The dev set; may be empty."""
    name: str
    """What it is called in evals/."""
    tasks: Sequence[Asked]
    """The test tasks."""
    say: Callable[[str], None]
    said: set[str] = field(default_factory=set)
    """Remarks on a task that were made: each is about every reading, and made once."""

    def __bool__(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.held_out or self.tasks)

    def before(self) -> None:
        """Read everything with the untrained model. A stop signal then ends the run at once, as all before step 0."""
        self.dev("base")
        self.test("base", StopRequest())

    def dev(self, checkpoint: str) -> None:
        """Read the dev set, and say what came out."""
        if not self.held_out:
            return
        known = self._is_there(self.name, checkpoint)
        measure(self.setup, self.held_out, self.run, self.name, checkpoint)  # what is there is checked and read
        if not known:
            self.say(training_tasks.told(self.run, self.name, checkpoint))

    def best(self, step: int) -> int | None:
        """Which checkpoint up to a step is best on dev, and so is kept; None where nothing is to be chosen."""
        config = self.setup.config
        if not (config.save.best and config.evals.chooses and self.held_out):
            return None
        return best.best_step(self.run, self.name, upto=step)

    def test(self, checkpoint: str, stop: StopRequest) -> None:
        """Read every test task; one that was begun is continued.

        Raises:
            Abandoned: `stop` has noted a signal; what was sampled is kept.
        """
        for asked in self.tasks:
            known, progress = self._is_there(asked.name, checkpoint), Lines(self.say)
            # One that is there is read, and graded again if the grader is another version now.
            measure_task(self.setup, asked, self.run, checkpoint, say=self._once, progress=progress, stop=stop)
            if not known:
                self.say(training_tasks.told(self.run, asked.name, checkpoint, name=asked.task.name))

    def _once(self, remark: str) -> None:
        if remark not in self.said:
            self.say(remark)
        self.said.add(remark)

    def _is_there(self, task: str, checkpoint: str) -> bool:
        """Whether an evaluation is finished. One of other weights than these is put by first, finished or begun.

        That is what an attempt leaves which was killed after steps that are done again, on another machine or with
        other threads: their weights come out equal up to rounding only.
        """
        folder = self.run.eval_dir(task, checkpoint)
        if not folder.is_dir():
            return False
        before, now = self.run.weights_read(task, checkpoint), fingerprint(self.setup.policy.model)
        if before and not now.startswith(before):
            self.run.set_aside(folder)
            self.say(f"{task}, {checkpoint}: read again, because its weights came out slightly different this time")
        return self.run.has_eval(task, checkpoint)
