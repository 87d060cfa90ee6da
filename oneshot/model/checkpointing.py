"""Activation checkpointing: keep only what goes into each decoder layer, and run the layer again in the backward pass.

It costs about one more forward of the decoder and saves nearly all that its layers would keep. transformers' own switch
acts on layers in training mode alone and takes the sampler's cache away from them. Here the layers' `forward` is
wrapped instead: no layer leaves evaluation mode, so dropout stays off, and without gradients (sampling, scoring, the
reference) the plain `forward` runs. On CUDA this code has not run yet.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer


def recompute(model: nn.Module) -> int:
    """From now on the model's decoder layers are run again in the backward pass; returns how many there are.

    The numbers are the same: each layer does the same operations on the same inputs twice. 0 where the architecture
    names no such layers: then nothing changes.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    return len(layers)


def keep_all(model: nn.Module) -> None:
    """Take `recompute` back."""
    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.__dict__.pop("forward", None)


def recomputes(model: nn.Module) -> bool:
    """Whether `recompute` is in force."""
    return any(isinstance(m, GradientCheckpointingLayer) and "forward" in m.__dict__ for m in model.modules())


def _forward(layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
    plain = partial(type(layer).forward, layer)
    if not torch.is_grad_enabled():
        return plain(*args, **kwargs)
    # Nothing is drawn in a layer, dropout being off, so there is no random state to put back.
    return checkpoint(plain, *args, use_reentrant=False, preserve_rng_state=False, **kwargs)
