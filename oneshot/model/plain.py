"""Log-prob and entropy as one writes them first: what the fast code is compared with, and used where that is wrong."""

from __future__ import annotations

import torch
from torch import Tensor


def plain_head(
    hidden_NH: Tensor, weight_VH: Tensor, target_N: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same as `logprobs.logprob_and_entropy`; every logit is kept until the backward pass is done."""
    logits_NV = (hidden_NH @ weight_VH.T).to(torch.promote_types(hidden_NH.dtype, torch.float32))
    logp_NV, cold_NV = (logits_NV / temperature).log_softmax(-1), logits_NV.detach().log_softmax(-1)
    entropy_N, entropy1_N = (-(values.exp() * values).sum(-1) for values in (logp_NV, cold_NV))
    return logp_NV.gather(1, target_N[:, None])[:, 0], entropy_N, entropy1_N
