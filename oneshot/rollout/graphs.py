"""Recorded decode steps: a CUDA graph for each shape, compared with the plain step once, and dropped where it fails.

Launching the thousand kernels of a small model's step takes the host longer than running them takes the GPU; a replay
launches them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Work = Callable[[], None]
Capture = Callable[[Work], Work]
"""Records what a function does to memory and returns what does the same again."""
WARM = 2
"""Steps of each shape that run plainly before it is recorded: kernels are built and workspaces made in them."""
APART = 1e-4
"""Largest difference of log-probs between a plain and a replayed step."""


class Steps:
    """Calls `work(rows, window)`, or replays a recording of it.

    `state` is all that a step changes and later ones read, but for cache slots, which the same step writes equally
    again. `refused` says why nothing is recorded (any more); empty while recordings are used.
    """

    def __init__(
        self, work: Callable[[int, int], None], state: Sequence[Tensor], capture: Capture | None, refused: str = ""
    ) -> None:
        self.work, self.state = work, state
        self.capture = None if refused else capture
        self.refused = refused
        self.replays: dict[tuple[int, int], Work] = {}
        self._plain: dict[tuple[int, int], int] = {}

    def __call__(self, rows: int, window: int) -> None:
        """One step."""
        shape = (rows, window)
        if shape in self.replays:
            self.replays[shape]()
        elif self.capture is None or self._plain.setdefault(shape, 0) < WARM:
            self._plain[shape] = self._plain.get(shape, 0) + 1
            self.work(rows, window)
        else:
            self._record(shape, self.capture)

    def _record(self, shape: tuple[int, int], capture: Capture) -> None:
        """Record this shape and do one step."""
        try:
            replay = capture(lambda: self.work(*shape))
        except RuntimeError as error:  # torch's CUDA errors, out of memory too
            self._refuse(f"recording failed: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            self.work(*shape)
            return
        if self.replays:
            replay()
        elif different := self._difference(shape, replay):
            self._refuse(f"the first replay differs from the plain step: {different}")
            return
        self.replays[shape] = replay

    def _difference(self, shape: tuple[int, int], replay: Work) -> str:
        """Do one step both ways; empty where both do the same, else the plain step's results stay."""
        before = [t.clone() for t in self.state]
        self.work(*shape)
        after = [t.clone() for t in self.state]
        for tensor, held in zip(self.state, before, strict=True):
            tensor.copy_(held)
        replay()
        for i, (found, expected) in enumerate(zip(self.state, after, strict=True)):
            close = torch.allclose(found, expected, rtol=0, atol=APART) if found.is_floating_point() else False
            if not close and not torch.equal(found, expected):
                worst = float((found.double() - expected.double()).abs().max())
                for tensor, held in zip(self.state, after, strict=True):
                    tensor.copy_(held)
                return f"state {i} by up to {worst:.2g}"
        return ""

    def _refuse(self, why: str) -> None:
        self.refused, self.capture = why, None
        self.replays.clear()


def cuda_capture() -> Capture:
    """Recording by CUDA graphs that share one pool of memory, since they never run at the same time.

    Has not run on a GPU yet.
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool):
            work()
        return graph.replay

    return capture
