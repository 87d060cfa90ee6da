"""What the learner's and the critic's forward passes share: one micro-batch to hidden states, and back to [b, T]."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from oneshot.data.packing import attending
from oneshot.model.attention import installed
from oneshot.types import MicroBatch, TokenBatch


def states(decoder: Any, micro: MicroBatch, device: torch.device) -> Tensor:
    """[N, H]: the hidden state that predicts each token. A response's first one is the prompt's last."""
    out = decoder(
        input_ids=micro.input_ids.to(device),
        position_ids=micro.position_ids.to(device),
        use_cache=False,
        **attending(micro, device, tree=installed(decoder)),
    )
    hidden_NH: Tensor = out.last_hidden_state.flatten(0, 1)[micro.predict_N.to(device)]
    return hidden_NH


def placed(values_N: Tensor, micro: MicroBatch, width: int) -> Tensor:
    """[b, T]: each predicted token's value in its place, 0 elsewhere."""
    where = (micro.row_N.to(values_N.device), micro.col_N.to(values_N.device))
    return values_N.new_zeros(len(micro.rows), width).index_put(where, values_N)


def moved(batch: TokenBatch, device: torch.device) -> TokenBatch:
    """The batch with its own tensors where the weights are; micro-batches move one by one."""
    tensors: dict[str, Any] = {
        f.name: value for f in fields(batch) if isinstance(value := getattr(batch, f.name), Tensor)
    }
    return replace(batch, **{name: tensor.to(device) for name, tensor in tensors.items()})
