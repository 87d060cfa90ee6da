"""Products of narrow matrices (bfloat16) with a float32 result, where the device has them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def product(x_MK: Tensor, y_KN: Tensor) -> Tensor:
    """`x y` in the dtype of sums: float32 for bfloat16 and float16, else the dtype of the two.

    Logits of 20 rounded to bfloat16 are off by up to 0.06. On CUDA cuBLAS hands out what it summed, unrounded (this
    branch has not run on a GPU yet); elsewhere the rounded product is widened.
    """
    wide = torch.promote_types(x_MK.dtype, torch.float32)
    if x_MK.dtype == wide:
        return x_MK @ y_KN
    if x_MK.is_cuda and hands_out_sums(x_MK.dtype):
        return torch.mm(x_MK, y_KN, out_dtype=wide)
    return (x_MK @ y_KN).to(wide)


@lru_cache(maxsize=4)
def hands_out_sums(dtype: torch.dtype) -> bool:
    """Whether `torch.mm(..., out_dtype=torch.float32)` works here for `dtype` on CUDA; tried once, on a tiny product.

    Has not run on a GPU yet.
    """
    try:
        ones = torch.ones(16, 16, dtype=dtype, device="cuda")
        return bool((torch.mm(ones, ones, out_dtype=torch.float32) == 16).all())
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError):
        return False
