"""How much memory torch's tensors take at most while something runs, counted exactly; other threads are not seen."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Live(TorchDispatchMode):
    """The most bytes that were alive at once of what was made inside, each storage once; views take nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._held = {key: held for key, held in self._held.items() if not held[0].expired()}
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, Tensor):  # what was there before counts nothing
                self._hold(tensor, 0)
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._hold(tensor, tensor.untyped_storage().nbytes())
        self.peak = max(self.peak, sum(size for _, size in self._held.values()))
        return made

    def _hold(self, tensor: Tensor, size: int) -> None:
        storage = tensor.untyped_storage()
        self._held.setdefault(storage._cdata, (StorageWeakRef(storage), size))
