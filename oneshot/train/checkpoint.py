"""Checkpoints: plain Hugging Face folders, and the states from which a run continues to the bit.

A save writes `checkpoints/checkpoint-N` first, then `checkpoints/last_state` (moments and counters, and the critic if
there is one), which names the checkpoint it belongs to; what was `last_state` before becomes `previous_state`. Float32
masters are the checkpoint's weights. Each folder is filled beside its place, sealed with checksums and renamed, so a
kill at any point leaves whole folders only. `restore` takes the newer state that is whole with its checkpoint. There is
no random state to save: every random number is keyed by (seed, step, sample).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import torch

from oneshot._store import folders
from oneshot.errors import MachineError, UsageError
from oneshot.history import History
from oneshot.model import policy as policies
from oneshot.record import RunFolder
from oneshot.train.learner import Learner
from oneshot.train.weights import check_moments, load_weights

CRITIC = "critic.pt"
DAMAGED = ".damaged"
"""Ending of a folder that was found damaged and set aside."""


class Curriculum(Protocol):
    """What to train on next; the history is read here and written by the loop."""

    def next(self, step: int, history: History) -> list[Any]:
        """The problems of a step, one a group."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """JSON-able state."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state_dict`'s answer."""
        ...


class Checkpoints:
    """Saves and restores the learner, the curriculum and the history of one run folder."""

    def __init__(
        self, run: RunFolder, *, keep: int, optimizer: bool, best: Callable[[int], int | None] = lambda step: None
    ) -> None:
        """`best(step)` is the step, up to this one, whose checkpoint is kept whatever comes after; None: no such."""
        self.run, self.keep, self.optimizer, self.best = run, max(keep, 1), optimizer, best
        self.last_saved = -1
        self.say: Callable[[str], None] = lambda text: None
        """Told in a sentence when something damaged was passed over."""

    def save(self, step: int, learner: Learner, curriculum: Curriculum, history: History) -> Path:
        """Write checkpoint-`step` (steps done) and the state to continue from; prune old checkpoints."""
        if step == self.last_saved:
            self._prune(step)  # it may have become the best one since
            return self.run.checkpoint_dir(step)
        with learner.optimizer.precise():
            policies.save(learner.policy, self.run.checkpoint_dir(step))
        history.save(self.run.history_path)
        if self.optimizer:
            state = {
                "step": step,
                "version": learner.version,
                "batches": learner.batches,
                "curriculum": curriculum.state_dict(),
            }
            self._write_state(state, learner)
        self.last_saved = step
        self._prune(step)
        self.run.event("save", step=step, checkpoint=self.run.checkpoint_dir(step).name)
        return self.run.checkpoint_dir(step)

    def _prune(self, step: int) -> None:
        """Keep the last `keep` checkpoints up to this one, the best, and those that the states continue from.

        A later one, of a killed attempt, is left alone until the run comes to it.
        """
        needed = {int(state.get("step", step)) for state in map(_read, self._states())} | {self.best(step)}
        done = [number for number in self.run.checkpoints() if number <= step]
        for old in done[: -self.keep]:
            if old not in needed:
                shutil.rmtree(self.run.checkpoint_dir(old))

    def _states(self) -> list[Path]:
        """The states that are there, newest first."""
        return [path for path in (self.run.last_state_dir, self.run.previous_state_dir) if path.is_dir()]

    def _write_state(self, state: dict[str, Any], learner: Learner) -> None:
        target, previous = self.run.last_state_dir, self.run.previous_state_dir
        shutil.rmtree(previous, ignore_errors=True)  # makes room: a state is twice as large as the weights
        made = Path(tempfile.mkdtemp(prefix=".last_state-", dir=target.parent))
        try:
            torch.save(learner.optimizer.state_dict(), made / "optimizer.pt")
            if learner.critic is not None:
                torch.save(learner.critic.state_dict(), made / CRITIC)
            (made / "state.json").write_text(json.dumps(state))
            folders.seal(made)
            if target.exists():
                os.replace(target, previous)
            folders.put(made, target)
        except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
            raise MachineError(
                f"the optimiser state could not be written to {target}: {error}.",
                code="E202",
                tries=(f"df -h {target.parent}",),
                kept=f"{self.run.checkpoint_dir(state['step'])} is whole, and the state saved before it too.",
            ) from error
        finally:
            if previous.exists() and not target.exists():
                with suppress(OSError):  # `restore` does it then
                    os.replace(previous, target)
            shutil.rmtree(made, ignore_errors=True)
        if self.keep == 1:  # its checkpoint goes, so nothing could continue from it
            shutil.rmtree(previous, ignore_errors=True)

    def _recover(self) -> None:
        """Undo what a kill while saving left: half-written folders, and a moment without a last state."""
        folder, target = self.run.checkpoints_dir, self.run.last_state_dir
        if self.run.previous_state_dir.is_dir() and not target.exists():
            os.replace(self.run.previous_state_dir, target)
        for left in (*folder.glob(".last_state-*"), *folder.glob(".checkpoint-*")):
            shutil.rmtree(left, ignore_errors=True)

    def restore(self, learner: Learner, curriculum: Curriculum, history: History) -> int:
        """Load the last whole state into the parts and return the first step to do: 0 for a new run.

        What the run folder records of later steps is moved out of the way (`RunFolder.cut_back`).

        Raises:
            UsageError: E107 when there are states but none is whole with its checkpoint, they are another model's, or
                the history lacks a step that was done.
        """
        self._recover()
        state, step = self._whole(), 0
        if state:
            step = int(state["step"])
            self._recall(history, step)
            self._load(state, learner, self.run.checkpoint_dir(step))
            curriculum.load_state_dict(state["curriculum"])
            self.last_saved = step
        redone = self.run.cut_back(step)
        if step or redone:
            self.run.event("resume", step=step, redone=redone)
        return step

    def _recall(self, history: History, step: int) -> None:
        """Take in the visits of the steps before `step`: without one of them other choices and records would follow."""
        path = self.run.history_path
        if path.is_file():
            history.read(path, before=step)
        absent = [number for number in range(step) if not any(history.visits(number, number + 1))]
        if not absent:
            return
        what = f"holds no visit of step {absent[0]}" if path.is_file() else "is missing"
        raise UsageError(
            f"{path} {what}, though {step} steps are done: what was visited decides what is trained on next.",
            code="E107",
            tries=(
                f"put {path.name} back from a copy",
                f"oneshot train --model {self.run.checkpoint_dir(step)}   (a new run from its weights)",
            ),
            kept="Nothing was changed.",
        )

    def _load(self, state: dict[str, Any], learner: Learner, checkpoint: Path) -> None:
        place = self.run.last_state_dir
        moments = torch.load(place / "optimizer.pt", map_location="cpu", weights_only=True)
        critic = {} if learner.critic is None else learner.critic.read(place / CRITIC, learner.policy.model)
        with learner.optimizer.precise():
            load_weights(learner.policy.model, checkpoint)
        check_moments(learner.policy.model, learner.parameters, moments, place)
        learner.optimizer.load_state_dict(moments)
        if learner.critic is not None:
            learner.critic.load_state_dict(critic)
        learner.version = int(state["version"])
        learner.batches = int(state.get("batches", state["step"]))

    def _whole(self) -> dict[str, Any]:
        """What the newest state says that is as it was written, as its checkpoint is; it then is `last_state`.

        Empty where there is no state at all. What is damaged is renamed, so that nobody takes it for whole.
        """
        faults: list[str] = []
        damaged: list[Path] = []
        for place in self._states():
            state, broken = _read(place), [place]
            if fault := folders.fault(place):
                faults.append(f"{place.name} {fault}")
            else:
                checkpoint = self.run.checkpoint_dir(int(state["step"]))
                if not (fault := folders.fault(checkpoint)):
                    self._pass_over(faults, damaged, checkpoint, place)
                    return state
                faults.append(f"{checkpoint.name} {fault}")
                broken = [checkpoint, place]
            damaged += broken
        if faults:
            raise self._none_whole(faults)
        return {}

    def _pass_over(self, faults: list[str], damaged: list[Path], used: Path, place: Path) -> None:
        """Set the damaged folders aside, say so, and make `place` the last state."""
        if not faults:
            return
        for path in filter(Path.exists, damaged):
            aside = path.with_name(path.name + DAMAGED)
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(path, aside)
        os.replace(place, self.run.last_state_dir)
        self.run.event("damaged", found=faults, used=used.name)
        self.say(
            f"warning: {'; '.join(faults)}. The run goes on from {used.name}, saved before it; "
            f"what is damaged was renamed to *{DAMAGED} and may be deleted."
        )

    def _none_whole(self, faults: list[str]) -> UsageError:
        usable = [n for n in self.run.checkpoints() if not folders.fault(self.run.checkpoint_dir(n))]
        tries = [f"put the files in {self.run.checkpoints_dir} back from a copy"]
        if usable:
            weights = self.run.checkpoint_dir(usable[-1])
            tries.append(f"oneshot train --model {weights}   (a new run from weights that are whole)")
        return UsageError(
            f"{self.run.path} cannot be continued: {'; '.join(faults)}.",
            code="E107",
            tries=tuple(tries),
            kept="Every recorded step is kept.",
        )


def _read(place: Path) -> dict[str, Any]:
    """What a state says; empty where it cannot be read."""
    try:
        state: dict[str, Any] = json.loads((place / "state.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return state
