"""A short name for the weights of a model, to tell whether they are still the same."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

SAMPLE = 1024
"""Numbers of each tensor that are looked at, evenly spaced: any training moves some of them, and it takes no time."""


def fingerprint(model: Any) -> str:
    """Sha256 over name, shape and `SAMPLE` numbers of every tensor, in their own dtype's values as float32.

    Two models that differ only in numbers between those are not told apart; the files' own checksums do that.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        flat = tensor.detach().flatten()
        some = flat[:: max(1, len(flat) // SAMPLE)].to("cpu", torch.float32)
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(some.numpy().tobytes())
    return digest.hexdigest()
