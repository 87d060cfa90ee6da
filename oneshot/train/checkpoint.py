"""Checkpoints: plain Hugging Face folders, and one rolling state from which a run continues to the bit.

`checkpoints/checkpoint-N` is written first, then `checkpoints/last_state` (optimiser moments and counters) is replaced
by two renames and names the checkpoint it belongs to; a kill at any point leaves the older pair or the newer one, which
`restore` finds. There is no random state to save: every random number is keyed by (seed, step, sample).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from oneshot.errors import MachineError, UsageError
from oneshot.history import History
from oneshot.model import policy as policies
from oneshot.record import RunFolder
from oneshot.train.learner import Learner

OLD_STATE = ".last_state-old"
"""The state before, for the moment between the two renames that replace it."""


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

    def __init__(self, run: RunFolder, *, keep: int, optimizer: bool) -> None:
        self.run = run
        self.keep = max(keep, 1)
        self.optimizer = optimizer
        self.last_saved = -1

    def bytes_needed(self, learner: Learner) -> int:
        """Disk for one more checkpoint and state beside those kept: weights, and twice that for the moments."""
        weights: int = sum(p.numel() * p.element_size() for p in learner.policy.model.parameters())
        # A new checkpoint and a new state exist beside the old ones until the rename.
        return weights * (self.keep + 1) + (4 * weights if self.optimizer else 0)

    def save(self, step: int, learner: Learner, curriculum: Curriculum, history: History) -> Path:
        """Write checkpoint-`step` (steps done) and the state to continue from; prune old checkpoints."""
        if step == self.last_saved:
            return self.run.checkpoint_dir(step)
        policies.save(learner.policy, self.run.checkpoint_dir(step))
        history.save(self.run.history_path)
        if self.optimizer:
            state = {"step": step, "version": learner.version, "curriculum": curriculum.state_dict()}
            self._write_state(state, learner)
        self.last_saved = step
        self._prune(step)
        self.run.event("save", step=step, checkpoint=self.run.checkpoint_dir(step).name)
        return self.run.checkpoint_dir(step)

    def _prune(self, step: int) -> None:
        """Keep the last `keep` checkpoints, the one just written, and the one that the last state continues from.

        A killed attempt may have left a checkpoint of a later step, so these need not be the last ones.
        """
        needed = {step, int(self._state().get("step", step))}
        for old in self.run.checkpoints()[: -self.keep]:
            if old not in needed:
                shutil.rmtree(self.run.checkpoint_dir(old))

    def _state(self) -> dict[str, Any]:
        """What `last_state` says; empty where there is none."""
        file = self.run.last_state_dir / "state.json"
        state: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
        return state

    def _write_state(self, state: dict[str, Any], learner: Learner) -> None:
        target = self.run.last_state_dir
        made = Path(tempfile.mkdtemp(prefix=".last_state-", dir=target.parent))
        old = target.with_name(OLD_STATE)
        try:
            torch.save(learner.optimizer.state_dict(), made / "optimizer.pt")
            (made / "state.json").write_text(json.dumps(state))
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                os.replace(target, old)
            os.replace(made, target)
        except (OSError, RuntimeError) as error:  # torch.save reports a full disk as RuntimeError
            raise MachineError(
                f"the optimiser state could not be written to {target}: {error}.",
                code="E202",
                kept=f"{self.run.checkpoint_dir(state['step'])} is whole.",
            ) from error
        finally:
            if old.exists() and not target.exists():
                os.replace(old, target)
            shutil.rmtree(made, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)

    def _recover(self) -> None:
        """Undo what a kill while saving left: half-written folders, and a state between its two renames."""
        folder, target = self.run.checkpoints_dir, self.run.last_state_dir
        if (folder / OLD_STATE).is_dir() and not target.exists():
            os.replace(folder / OLD_STATE, target)
        for left in (*folder.glob(".last_state-*"), *folder.glob(".checkpoint-*")):
            shutil.rmtree(left, ignore_errors=True)

    def restore(self, learner: Learner, curriculum: Curriculum, history: History) -> int:
        """Load the last state into the parts and return the first step to do: 0 for a new run.

        Raises:
            UsageError: E107 when the state is there but its checkpoint is not.
        """
        self._recover()
        state = self._state()
        if not state:
            return 0
        step = int(state["step"])
        folder = self.run.checkpoint_dir(step)
        if not folder.is_dir():
            raise UsageError(f"{folder} is gone, so the run cannot be continued from step {step}.", code="E107")
        load_weights(learner.policy.model, folder)
        moments = torch.load(self.run.last_state_dir / "optimizer.pt", map_location="cpu", weights_only=True)
        learner.optimizer.load_state_dict(moments)
        learner.version = int(state["version"])
        curriculum.load_state_dict(state["curriculum"])
        if self.run.history_path.is_file():
            history.load_state_dict(History.load(self.run.history_path, before=step).state_dict())
        self.last_saved = step
        return step


def load_weights(model: Any, folder: Path) -> None:
    """Copy a checkpoint's weights into a model in place, so that sampler and learner go on sharing them."""
    tensors: dict[str, torch.Tensor] = {}
    try:
        for shard in sorted(folder.glob("*.safetensors")):
            tensors.update(load_file(shard))
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except (SafetensorError, RuntimeError) as error:  # a damaged file, weights of another shape
        said = str(error).strip().splitlines()[0]
        raise UsageError(f"the weights in {folder} cannot be used: {said}", code="E107") from error
    # A tied output matrix is saved once; anything else missing is damage.
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if wrong := sorted({*unexpected, *missing} - tied):
        raise UsageError(f"{folder} does not hold this model's weights: {wrong[:3]}.", code="E107")
    model.tie_weights()
