"""The rows that are decoded at once: which request each holds, how far it is, and what it has drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from oneshot.rollout.cache import BufferCache


class Block:
    """R rows over one cache. A free row is decoded along until it is refilled or dropped; nobody reads it.

    Lengths and counts are known without looking at a token, so they live on the host, and a step waits for the device
    once: to see which rows have ended.
    """

    def __init__(self, rows: int, limit: int, device: torch.device, *, greedy: bool) -> None:
        self.cache = BufferCache()
        self.greedy = greedy
        self.device = device
        self.request: dict[int, int] = {}
        """Row to request, for rows that hold one."""
        self.length = np.zeros(rows, dtype=np.int64)
        """Tokens of each row in the cache."""
        self.count = np.zeros(rows, dtype=np.int64)
        """Tokens each row has drawn."""
        self.last_R = torch.zeros(rows, dtype=torch.long, device=device)
        self._tokens_RT = torch.zeros(rows, limit, dtype=torch.long, device=device)
        wide = 0 if greedy else limit
        self._logp_RT = torch.zeros(rows, wide, device=device)
        self._uniform_RT = torch.full((rows, wide), 0.5, dtype=torch.float64, device=device)

    @property
    def rows(self) -> int:
        """R, free rows included."""
        return len(self.length)

    @property
    def busy(self) -> bool:
        """Some row holds a request."""
        return bool(self.request)

    @property
    def empty(self) -> bool:
        """Nothing was admitted yet."""
        return not self.cache.layers

    @property
    def free(self) -> list[int]:
        """Rows that hold no request, in order."""
        return [row for row in range(self.rows) if row not in self.request]

    def admit(self, rows: Sequence[int], cache: BufferCache, of: Tensor, lengths: Sequence[int]) -> None:
        """Copy prefilled prompts into rows; `of` names the cache's row for each, `lengths` its tokens."""
        self.cache.put(torch.tensor(rows, device=self.device), cache, of)
        self.length[rows] = lengths
        self.count[rows] = 0

    def assign(self, row: int, request: int, numbers: np.ndarray | None) -> None:
        """From now on the row decodes this request, with these uniform numbers unless greedy."""
        self.request[row] = request
        if numbers is not None:
            self._uniform_RT[row] = torch.from_numpy(numbers)

    def numbers(self, rows: Sequence[int]) -> Tensor | None:
        """The uniform number of each of these rows for its next token."""
        return None if self.greedy else self._uniform_RT[self._next(rows)]

    def append(self, rows: Sequence[int], tokens_R: Tensor, logp_R: Tensor | None) -> None:
        """One more token for each of these rows."""
        place = self._next(rows)
        self._tokens_RT[place] = tokens_R
        if logp_R is not None:
            self._logp_RT[place] = logp_R
        self.last_R[place[0]] = tokens_R
        self.count[list(rows)] += 1

    def finish(self, row: int) -> tuple[int, tuple[int, ...], tuple[float, ...]]:
        """Free the row; its request, tokens and log-probs (none when greedy)."""
        count = int(self.count[row])
        tokens, logprobs = self._tokens_RT[row, :count].tolist(), self._logp_RT[row, :count].tolist()
        return self.request.pop(row), tuple(tokens), tuple(logprobs)

    def places(self) -> tuple[Tensor, Tensor | None]:
        """Where each row's next token goes, [R], and which slots it may attend to, [R, 1, 1, slots].

        No mask where all rows are equally long: without one, attention takes a faster kernel. A free row never makes
        the block longer than the rows in use.
        """
        held = list(self.request)
        longest = int(self.length[held].max())
        self.length = np.minimum(self.length, longest)
        position_R = torch.from_numpy(self.length).to(self.device)
        slots = self.cache.slots
        slots.used, slots.at = longest, None
        if int(self.length.min()) == longest:
            return position_R, None
        slots.at = (torch.arange(self.rows, device=self.device), position_R)
        return position_R, (torch.arange(longest + 1, device=self.device) <= position_R[:, None])[:, None, None]

    def advance(self) -> None:
        """After a forward: every row is one token longer."""
        self.length = self.length + 1  # a new array: `places` lent the old one to a tensor

    def shrink(self, least: int) -> None:
        """Drop free rows, but keep at least `least` rows."""
        free = self.free
        kept = sorted([*self.request, *free[: max(0, least - len(self.request))]])
        index = torch.tensor(kept, device=self.device)
        self.cache.take(index)
        self.length, self.count = self.length[kept], self.count[kept]
        self.last_R, self._tokens_RT = self.last_R[index], self._tokens_RT[index]
        self._logp_RT, self._uniform_RT = self._logp_RT[index], self._uniform_RT[index]
        places = {old: new for new, old in enumerate(kept)}
        self.request = {places[row]: request for row, request in self.request.items()}

    def _next(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """(row, column) of these rows' next tokens; a free row that ran to the limit overwrites its last."""
        column = np.minimum(self.count[list(rows)], self._tokens_RT.shape[1] - 1)
        return torch.tensor(rows, device=self.device), torch.from_numpy(column).to(self.device)
