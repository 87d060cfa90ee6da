"""Linear layers for few rows: the same product, asked for the other way round.

With 16 to 64 rows, several threads and MKL, `(W xᵀ)ᵀ` splits the work over W's many rows where `x Wᵀ` has little to
split. The numbers are the same sums; on the CPUs tried they were equal bit by bit from 15 rows on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from oneshot.model.products import by_onednn, onednn

MARK = "oneshot_never_turned"
"""Attribute of a matrix whose products are left as they are."""


def product(x_RK: Tensor, weight_NK: Tensor) -> Tensor:
    """`x Wᵀ`, [R, N], contiguous, for few rows."""
    if not turned(x_RK.device) or getattr(weight_NK, MARK, False):
        return x_RK @ weight_NK.T
    return (weight_NK @ x_RK.T).T.contiguous()


def logits(hidden_RH: Tensor, head_VH: Tensor) -> Tensor:
    """The product with the output matrix, [R, V], in the form that is fastest for few rows."""
    if onednn(hidden_RH) and not getattr(head_VH, MARK, False):
        return by_onednn(hidden_RH, head_VH)
    return product(hidden_RH, head_VH)


def never_turned(module: nn.Module) -> None:
    """From now on the products with this module's matrices are plain ones: in other forms they were wrong here."""
    for weight in module.parameters():
        setattr(weight, MARK, True)


def turned(device: torch.device) -> bool:
    """Whether turning the product round helps: with MKL on a CPU, with several threads."""
    return device.type == "cpu" and torch.backends.mkl.is_available() and torch.get_num_threads() > 1


@contextmanager
def few_rows(decoder: nn.Module) -> Iterator[None]:
    """Inside, the decoder's plain linear layers multiply the other way round; for decoding only, not for gradients.

    Layers that something else has wrapped already are left alone.
    """
    layers = [m for m in decoder.modules() if type(m) is nn.Linear and "forward" not in m.__dict__]
    layers = [m for m in layers if turned(m.weight.device)]
    for layer in layers:
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def _forward(layer: nn.Linear, x: Tensor) -> Tensor:
    out = product(x.reshape(-1, x.shape[-1]), layer.weight).view(*x.shape[:-1], -1)
    return out if layer.bias is None else out + layer.bias
