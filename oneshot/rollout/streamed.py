"""The native sampler with its tokens told as they are drawn, for whoever shows an answer while it is made.

Same streams, same blocks, same numerics as the growing cache of `native`; nothing is decoded in fixed slots.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oneshot.model.policy import Policy
from oneshot.rollout.draw import Filters
from oneshot.rollout.native import NativeEngine, _Decoding
from oneshot.types import Completion, Sampling

Drawn = Callable[[int, int], None]
"""Told (place in the call, token) for every token of a response, the end token too."""


class StreamedEngine(NativeEngine):
    """A `NativeEngine` that tells each token to `drawn`, which may raise to give the answer up."""

    def __init__(self, policy: Policy, drawn: Drawn = lambda place, token: None) -> None:
        super().__init__(policy, fixed=False)
        self.drawn = drawn

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        streams: Sequence[tuple[int, int]],
        *,
        filters: Filters | None = None,
    ) -> list[Completion]:
        """As `NativeEngine.generate`."""
        assert len(prompts) == len(streams)
        if not prompts:
            return []
        decoding = _Telling(self.policy, self.batch, prompts, sampling, streams, filters, share=self.share)
        decoding.drawn = self.drawn
        found = decoding.run(self.check, self.finished)
        self.decoded_tokens += sum(len(c.tokens) for c in found)
        return found


class _Telling(_Decoding):
    """Decoding that looks at each row's token before the row may be freed."""

    drawn: Drawn

    def _draw(self, rows: Sequence[int], hidden_RH: Tensor) -> None:
        held = [(row, self.block.request[row]) for row in rows if row in self.block.request]
        super()._draw(rows, hidden_RH)
        last = self.block.last_R.tolist()
        for row, request in held:
            self.drawn(request, last[row])
