"""One vector a prompt: the mean of the policy's last hidden states over its tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from oneshot.model.policy import Policy
from oneshot.types import Problem

ROWS = 16
"""Prompts of one forward; a fixed number, so that a resumed run rounds alike."""


@torch.inference_mode()
def mean_hidden(
    policy: Policy, render: Callable[[Problem], tuple[int, ...]], problems: Sequence[Problem]
) -> npt.NDArray[np.float32]:
    """[P, H] float32: the mean over all tokens of each rendered prompt, under the weights as they are now.

    Call it before training: a run computes it once at its start, and a resumed run again, from the initial weights,
    which it has before the checkpoint is read. So nothing is stored. Equal prompts run once. On CUDA this code has not
    run yet.
    """
    prompts = [render(problem) for problem in problems]
    places = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    unique = list(places)
    found = [_means(policy, unique[first : first + ROWS]) for first in range(0, len(unique), ROWS)]
    means_UH = np.concatenate(found)
    embedding_PH: npt.NDArray[np.float32] = means_UH[[places[prompt] for prompt in prompts]]
    return embedding_PH


def _means(policy: Policy, prompts: Sequence[tuple[int, ...]]) -> npt.NDArray[np.float32]:
    """The means of a few prompts, padded on the right, where no token attends to the padding."""
    width = max(len(prompt) for prompt in prompts)
    ids_RL = torch.zeros(len(prompts), width, dtype=torch.long)
    mask_RL = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids_RL[row, : len(prompt)] = torch.tensor(prompt)
        mask_RL[row, : len(prompt)] = 1
    mask_RL = mask_RL.to(policy.device)
    out = policy.decoder(input_ids=ids_RL.to(policy.device), attention_mask=mask_RL, use_cache=False)
    hidden_RLH = out.last_hidden_state.float() * mask_RL[..., None]
    mean_RH: npt.NDArray[np.float32] = (hidden_RLH.sum(1) / mask_RL.sum(1, keepdim=True)).cpu().numpy()
    return mean_RH
