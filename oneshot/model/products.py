"""Products with the output matrix on a CPU: by whichever library is faster there, decided by the machine alone.

torch multiplies float32 matrices by MKL. On the AMD processor tried, 2 threads, oneDNN was faster for matrices as wide
as a vocabulary (576 x 49,152), where MKL is at its worst, and not for a layer's; `benchmarks/sampler.py` prints both.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from oneshot.model.machine import cpu_vendor


def onednn(x: Tensor) -> bool:
    """Whether `by_onednn` is the faster one for this tensor: float32 on an AMD processor, where torch has oneDNN."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and _amd()


def by_onednn(x_RK: Tensor, weight_VK: Tensor) -> Tensor:
    """`x Wᵀ`, [R, V], without gradient: the operation that torch's own compiler uses for linear layers."""
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x_RK, weight_VK, None, "none", [], "")
    return made


@lru_cache(maxsize=1)
def _amd() -> bool:
    there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return there and cpu_vendor() == "AuthenticAMD"
