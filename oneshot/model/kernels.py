"""Whether a Triton kernel may be used: it is compared with plain torch code once, and refused with a reason."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import torch

FAILURES = (
    ImportError,
    RuntimeError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    subprocess.SubprocessError,
)
"""What a missing Triton, a missing compiler or a kernel that cannot be built raises, beside Triton's own errors."""


def refusal(apart: Callable[[], float], tolerance: float) -> str:
    """Run a comparison. Empty when it stays within the tolerance, else a sentence on why the kernels are not used.

    Memory that runs out is no verdict on a kernel: that error goes through, and the comparison is made again later.
    """
    try:
        from triton.errors import TritonError  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return "triton is not installed"
    try:
        worst = apart()
    except torch.OutOfMemoryError:
        raise
    except (*FAILURES, TritonError) as error:
        return f"the kernels failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if not worst <= tolerance:  # a NaN is not within it
        return f"the kernels are off by {worst:.1e} from plain torch, allowed is {tolerance:.0e}"
    return ""
