"""Checkpoints: plain Hugging Face folders, and one rolling state from which a run continues to the bit.

`checkpoints/checkpoint-N` is written first, then `checkpoints/last_state` (optimiser moments and counters) is replaced
by a rename and names the checkpoint it belongs to; a kill between the two leaves the older pair intact. There is no
random state to save: every random number is keyed by (seed, step, sample).
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file

from oneshot.errors import MachineError, UsageError
from oneshot.history import History
from oneshot.model import policy as policies
from oneshot.record import RunFolder
from oneshot.train.learner import Learner


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
        for old in self.run.checkpoints()[: -self.keep]:
            shutil.rmtree(self.run.checkpoint_dir(old))
        self.run.event("save", step=step, checkpoint=self.run.checkpoint_dir(step).name)
        return self.run.checkpoint_dir(step)

    def _write_state(self, state: dict[str, Any], learner: Learner) -> None:
        target = self.run.last_state_dir
        made = Path(tempfile.mkdtemp(prefix=".last_state-", dir=target.parent))
        old = target.with_name(".last_state-old")
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
            shutil.rmtree(made, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)

    def restore(self, learner: Learner, curriculum: Curriculum, history: History) -> int:
        """Load the last state into the parts and return the first step to do: 0 for a new run.

        Raises:
            UsageError: E107 when the state is there but its checkpoint is not.
        """
        state_file = self.run.last_state_dir / "state.json"
        if not state_file.is_file():
            return 0
        state = json.loads(state_file.read_text())
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
    for shard in sorted(folder.glob("*.safetensors")):
        tensors.update(load_file(shard))
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    # A tied output matrix is saved once; anything else missing is damage.
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if unexpected or set(missing) - tied:
        raise UsageError(f"{folder} does not hold this model's weights: {sorted(unexpected)[:3]}.", code="E107")
    model.tie_weights()
