"""Putting a checkpoint's weights into the model of a run; refuses another model's before anything is changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from oneshot.errors import UsageError


def load_weights(model: Any, folder: Path) -> None:
    """Copy a checkpoint's weights into a model in place, so that sampler and learner go on sharing them.

    Raises:
        UsageError: E107 when the files cannot be read, or are of another model; the model is as it was.
    """
    tensors: dict[str, torch.Tensor] = {}
    try:
        for shard in sorted(folder.glob("*.safetensors")):
            tensors.update(load_file(shard))
    except (SafetensorError, RuntimeError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise UsageError(f"the weights in {folder} cannot be used: {said}", code="E107") from error
    own = model.state_dict()
    # A tied output matrix is saved once; anything else missing is damage.
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if wrong := sorted((own.keys() ^ tensors.keys()) - tied):
        raise another_model(f"{wrong[0]} is in only one of them", model, folder)
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise another_model(f"{name} is {_size(tensor)} there and {_size(own[name])} here", model, folder)
    model.load_state_dict(tensors, strict=False)
    model.tie_weights()


def check_moments(model: Any, parameters: Sequence[torch.Tensor], moments: Mapping[str, Any], folder: Path) -> None:
    """Refuse optimiser moments whose shapes are not those of the parameters; torch would take them.

    Raises:
        UsageError: E107.
    """
    numbers = [number for group in moments["param_groups"] for number in group["params"]]
    if len(numbers) != len(parameters):
        raise another_model(f"it has moments of {len(numbers)} tensors, not of {len(parameters)}", model, folder)
    for number, parameter in zip(numbers, parameters, strict=True):
        for name, tensor in moments["state"].get(number, {}).items():
            if tensor.dim() and tensor.shape != parameter.shape:
                said = f"{name} number {number} is {_size(tensor)} there and {_size(parameter)} here"
                raise another_model(said, model, folder)


def another_model(said: str, model: Any, folder: Path) -> UsageError:
    """E107 that names both models."""
    file = folder / "config.json"
    theirs = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return UsageError(
        f"{folder} holds {_described(theirs)}, but the run's model is {_described(model.config.to_dict())}: {said}.",
        code="E107",
        tries=("start a new run with this model", "put the run's own checkpoint back"),
        kept="Nothing was changed.",
    )


def _described(config: Mapping[str, Any]) -> str:
    """The kind and sizes of a model by its configuration."""
    if not config:
        return "another model's state"
    named = {"hidden_size": "hidden", "num_hidden_layers": "layers", "vocab_size": "words"}
    sizes = ", ".join(f"{word} {config[key]}" for key, word in named.items() if key in config)
    return f"a {config.get('model_type', 'model')} ({sizes})"


def _size(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "one number"
