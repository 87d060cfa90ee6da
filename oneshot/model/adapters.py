"""LoRA through peft: frozen weights W and a small trained product, W + (alpha / rank) B A (arXiv:2106.09685).

peft is an extra (`oneshot-rlvr[lora]`) and imported only here. Its layers are put into the model itself instead of
around it, so that sampler and learner go on finding decoder, head and layers by the names transformers gives them.

Departures from the paper: every linear layer of the decoder is adapted, not the attention's alone; no dropout.
On CUDA this code has not run yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from oneshot.errors import DataError, MachineError
from oneshot.model import embedded, targets
from oneshot.model.shapes import ADAPTER_CONFIG

WEIGHTS = "adapter_model.safetensors"
_NAME = "default"
"""What peft calls the one adapter of a model."""
_PREFIX = "base_model.model."
"""peft's files name a layer as seen through its own wrapper."""


def package() -> Any:
    """Peft itself, or `MachineError` E204 with the line that installs it."""
    try:
        import peft
    except ImportError as error:
        raise MachineError(
            f"an adapter (LoRA) needs the package 'peft': {error}",
            code="E204",
            tries=("pip install 'oneshot-rlvr[lora]'", "the same command without --model.lora-rank"),
            kept="Nothing was trained.",
        ) from error
    return peft


def adapted(model: Any) -> bool:
    """Whether a model has an adapter in it."""
    return bool(getattr(model, "peft_config", None))


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter instead of a model."""
    return (folder / ADAPTER_CONFIG).is_file()


def attach(model: Any, *, rank: int, alpha: float, asked: str, seed: int, revision: str = "") -> None:
    """Freeze a model and put a new adapter into it, which changes nothing yet: B is 0.

    A is uniform within 1 / √inputs, drawn from `seed` alone; torch's own random state is left as it was.

    Raises:
        MachineError: E204 without peft.
        UsageError: E103 for layers that the model does not have.
    """
    peft = package()
    decoder = model.get_decoder()
    named = list(model.named_modules())
    inside = set(decoder.modules())
    linear = [name for name, module in named if type(module) is nn.Linear and module in inside]
    wanted = targets.chosen(asked, linear)
    base = Path(model.name_or_path)
    alpha = float(alpha or 2 * rank)
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=int(alpha) if alpha.is_integer() else alpha,
        target_modules=targets.short_names(wanted, [name for name, _ in named]),
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=str(base.resolve()) if base.is_dir() else model.name_or_path,
        revision=revision or getattr(model.config, "_commit_hash", None),
    )
    _inject(model, config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in tensors(model).items():
            if ".lora_A." in name:
                drawn = torch.rand(weight.shape, generator=generator)
                weight.copy_((2 * drawn - 1) / weight.shape[1] ** 0.5)
            else:
                weight.zero_()


def _inject(model: Any, config: Any) -> None:
    """Put peft's layers into the model: float32, in eval mode, and alone with gradients."""
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):  # peft draws numbers that are overwritten
        package().inject_adapter_in_model(config, model, adapter_name=_NAME)
    for weight in tensors(model).values():
        weight.data = weight.data.float()  # peft casts them to the model's dtype
        weight.requires_grad_(True)
    model.eval()


def tensors(model: Any) -> dict[str, nn.Parameter]:
    """The adapter's weights by their names in peft's files, in the order of the model's parameters."""
    named = ((name, weight) for name, weight in model.named_parameters() if ".lora_" in name)
    return {_PREFIX + name.replace(f".{_NAME}.", "."): weight for name, weight in named}


def layers(model: Any) -> Iterator[tuple[str, Any]]:
    """(name, peft layer) of every adapted layer."""
    from peft.tuners.lora import LoraLayer

    return ((name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer))


@contextmanager
def switched_off(model: Any) -> Iterator[None]:
    """Inside, the model is the one the adapter was put into, to the bit. Not between a forward and its backward."""
    found = [layer for _, layer in layers(model)]
    for layer in found:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in found:
            layer.enable_adapters(True)


def write(model: Any, folder: Path) -> None:
    """The adapter in peft's format: its configuration and its weights, as they are in memory."""
    config = model.peft_config[_NAME]
    config.save_pretrained(folder)
    found = {name: weight.detach().cpu().contiguous() for name, weight in tensors(model).items()}
    save_file(found, folder / WEIGHTS, metadata={"format": "pt"})


def base_of(config: Any) -> str:
    """The model an adapter belongs to, as something `policy.load` can open.

    The embedded model is known by its place in the cache, also when the cache has moved.
    """
    base = str(config.base_model_name_or_path)
    return embedded.NAME if Path(base).parts[-2:] == ("models", embedded.NAME) else base


def read(folder: Path) -> Any:
    """Read peft's configuration of an adapter folder.

    Raises:
        MachineError: E204 without peft.
        DataError: E304 when it cannot be read, or is not plain LoRA in linear layers of the decoder.
    """
    peft = package()
    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{folder / ADAPTER_CONFIG} cannot be read: {error}", code="E304") from error
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    more = [name for name in ("modules_to_save", "use_dora", "trainable_token_indices") if getattr(config, name, None)]
    if kind != "LORA" or more:
        raise DataError(
            f"the adapter {folder} is {' with '.join([kind, *more])}; only plain LoRA can be used here.",
            code="E304",
            tries=("merge it into its model with peft (merge_and_unload), then --model ./THE_MERGED_MODEL",),
        )
    if not config.base_model_name_or_path:
        raise DataError(f"{folder / ADAPTER_CONFIG} names no model that the adapter belongs to.", code="E304")
    return config


def restore(model: Any, config: Any, folder: Path) -> None:
    """Put a saved adapter into the model it belongs to.

    Raises:
        DataError: E304 when it does not fit.
    """
    config.lora_dropout = 0.0
    try:
        _inject(model, config)
        saved = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError, ValueError, RuntimeError) as error:
        raise DataError(f"the adapter {folder} cannot be loaded: {error}", code="E304") from error
    outside = [name for name, layer in layers(model) if type(layer.get_base_layer()) is not nn.Linear]
    outside += [name for name, layer in layers(model) if layer is model.get_output_embeddings()]
    if outside:
        raise DataError(f"the adapter {folder} changes {outside[0]}, which takes no adapter here.", code="E304")
    own = tensors(model)
    if wrong := misfit(own, saved):
        raise DataError(f"the adapter {folder} does not fit {model.name_or_path}: {wrong}.", code="E304")
    fill(own, saved)


def misfit(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> str:
    """The first difference in names or shapes, as the end of a sentence; empty when there is none."""
    if lone := sorted(own.keys() ^ saved.keys()):
        return f"{lone[0]} is in only one of them"
    for name, tensor in saved.items():
        if tensor.shape != own[name].shape:
            return f"{name} is {size(tensor)} there and {size(own[name])} here"
    return ""


def size(tensor: Tensor) -> str:
    """`16x576`."""
    return "x".join(map(str, tensor.shape)) or "one number"


def fill(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved weights into the model's own, in place."""
    with torch.no_grad():
        for name, tensor in saved.items():
            own[name].copy_(tensor)


def merge(model: Any) -> None:
    """Add the adapter to the weights and take peft's layers out again: a plain model, in place.

    Sums are rounded to the model's dtype, so the result equals the adapter up to that.
    """
    for name, layer in list(layers(model)):
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())
    del model.peft_config
    model.requires_grad_(True)


def described(settings: Mapping[str, Any]) -> str:
    """An adapter by its configuration, for messages."""
    where: str | Sequence[str] = settings.get("target_modules") or ()
    named = where if isinstance(where, str) else ", ".join(sorted(where))
    return f"an adapter (rank {settings.get('r')}, alpha {settings.get('lora_alpha')}, {named})"
