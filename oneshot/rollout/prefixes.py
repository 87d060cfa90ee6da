"""What prompts begin with in common, and which of these beginnings are worth running once."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

LEAST = 64
"""Tokens that a beginning must save at least: running it alone costs about as much as running a few dozen tokens."""

Prompt = tuple[int, ...]


def shared(prompts: Iterable[Prompt], least: int = LEAST) -> dict[Prompt, tuple[int, ...]]:
    """The lengths of each prompt's beginnings that are run once, ascending; prompts without any are left out.

    Beginnings are inner nodes of the prompts' radix tree: each is shared by two different prompts or more, and has at
    least `least` tokens more than the one before. A prompt's last token is never among them, since its hidden state is
    needed.
    """
    ordered = sorted(set(prompts))
    common = [_common(a, b) for a, b in pairwise(ordered)]
    found: dict[Prompt, tuple[int, ...]] = {}
    groups = [(0, len(ordered), 0)]
    while groups:
        first, end, taken = groups.pop()
        if end - first < 2:
            continue
        depth = min(common[first : end - 1])
        reach = min(depth, len(ordered[first]) - 1)  # the first is the shortest, where one ends here
        if reach - taken >= least:
            taken = reach
            for prompt in ordered[first:end]:
                found[prompt] = (*found.get(prompt, ()), reach)
        cuts = [i + 1 for i in range(first, end - 1) if common[i] == depth]
        groups += [(a, b, taken) for a, b in pairwise([first, *cuts, end])]
    return found


def _common(a: Prompt, b: Prompt) -> int:
    """Tokens that both begin with. By halving: slices are compared much faster than tokens."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
