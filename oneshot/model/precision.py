"""Which dtype the weights have, and the float32 values behind a bfloat16 working copy.

`auto` is float32 on a CPU, where it is the faster one too, and bfloat16 on CUDA. To be trained, bfloat16 weights are
read in float32 first: a run begins from what the files say, not from what is left of it after rounding. On CUDA this
code has not run yet.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from oneshot.config.checks import refuse_pure_bfloat16
from oneshot.config.schema import Config
from oneshot.model import adapters


def settled(config: Config, *, cuda: bool, training: bool) -> Config:
    """The configuration with what `auto` means on this machine written out, where that is not float32.

    Raises:
        UsageError: E105 for bfloat16 weights that would be trained themselves, at a small learning rate.
    """
    if cuda and config.model.dtype == "auto":
        config = replace(config, model=replace(config.model, dtype="bfloat16"))
    if cuda and config.algorithm.name == "ppo" and config.algorithm.options.get("critic", "auto") == "auto":
        options = {**config.algorithm.options, "critic": "model"}
        config = replace(config, algorithm=replace(config.algorithm, options=options))
    if training:
        refuse_pure_bfloat16(config)
    return config


def read_as(config: Config, *, training: bool) -> str:
    """The dtype to read the weights in: float32 where masters are to be kept, whatever the working copy has."""
    return "float32" if _with_masters(config, training) else config.model.dtype


def lowered(model: Any, config: Config, *, training: bool) -> dict[nn.Parameter, Tensor]:
    """Round a float32 model to the bfloat16 working copy that is asked for; returns the float32 values it came from.

    Empty where the model is to stay as it is. Buffers keep their dtype: rotary frequencies are float32 in every model.
    """
    kept: dict[nn.Parameter, Tensor] = {}
    if not _with_masters(config, training):
        return kept
    for parameter in model.parameters():
        if adapters.adapted(model) and parameter.requires_grad:
            continue  # an adapter stays float32, and is its own master
        if parameter.requires_grad:
            kept[parameter] = parameter.data
        parameter.data = parameter.data.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    return kept


def _with_masters(config: Config, training: bool) -> bool:
    return training and config.model.dtype == "bfloat16" and config.optim.masters
