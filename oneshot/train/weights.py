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
from oneshot.model import adapters
from oneshot.model.shapes import ADAPTER_CONFIG


def load_weights(model: Any, folder: Path) -> None:
    """Copy a checkpoint's weights into a model in place, so that sampler and learner go on sharing them.

    An adapted model takes an adapter's folder and no other, a plain model a plain one.

    Raises:
        UsageError: E107 when the files cannot be read, or are of another model; the model is as it was.
    """
    saved: dict[str, torch.Tensor] = {}
    try:
        for shard in sorted(folder.glob("*.safetensors")):
            saved.update(load_file(shard))
    except (SafetensorError, RuntimeError, OSError) as error:
        said = str(error).strip().splitlines()[0]
        raise UsageError(f"the weights in {folder} cannot be used: {said}", code="E107") from error
    if adapters.is_adapter(folder) != adapters.adapted(model):
        raise another_model("one trains an adapter, the other every weight", model, folder)
    if adapters.adapted(model):
        _load_adapter(model, saved, folder)
        return
    own = model.state_dict()
    # A tied output matrix is saved once; anything else missing is damage.
    tied = set(getattr(model, "_tied_weights_keys", None) or ()) - saved.keys()
    if wrong := adapters.misfit({name: tensor for name, tensor in own.items() if name not in tied}, saved):
        raise another_model(wrong, model, folder)
    model.load_state_dict(saved, strict=False)
    model.tie_weights()


def _load_adapter(model: Any, saved: Mapping[str, torch.Tensor], folder: Path) -> None:
    own = adapters.tensors(model)
    wrong = adapters.misfit(own, saved)
    theirs, ours = _adapter(folder).get("lora_alpha"), model.peft_config["default"].lora_alpha
    if not wrong and theirs != ours:
        wrong = f"alpha is {theirs} there and {ours} here"
    if wrong:
        raise another_model(wrong, model, folder)
    adapters.fill(own, saved)


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
                said = f"{name} number {number} is {adapters.size(tensor)} there and {adapters.size(parameter)} here"
                raise another_model(said, model, folder)


def another_model(said: str, model: Any, folder: Path) -> UsageError:
    """E107 that names both models."""
    file = folder / "config.json"
    theirs = _described(json.loads(file.read_text("utf-8")) if file.is_file() else {})
    if adapters.is_adapter(folder):
        theirs = adapters.described(_adapter(folder))
    ours = _described(model.config.to_dict())
    if adapters.adapted(model):
        ours = f"{adapters.described(model.peft_config['default'].to_dict())} on {ours}"
    return UsageError(
        f"{folder} holds {theirs}, but the run's model is {ours}: {said}.",
        code="E107",
        tries=("start a new run with this model", "put the run's own checkpoint back"),
        kept="Nothing was changed.",
    )


def _adapter(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
    return found


def _described(config: Mapping[str, Any]) -> str:
    """The kind and sizes of a model by its configuration."""
    if not config:
        return "another model's state"
    named = {"hidden_size": "hidden", "num_hidden_layers": "layers", "vocab_size": "words"}
    sizes = ", ".join(f"{word} {config[key]}" for key, word in named.items() if key in config)
    return f"a {config.get('model_type', 'model')} ({sizes})"
