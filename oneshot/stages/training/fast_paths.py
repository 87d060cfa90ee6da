"""Every fast path is compared with the plain one before it is first used; where they differ, the plain one is used.

It is done on the run's own model and the beginning of its example's prompt, once an attempt, before anything is
sampled: a few short forward passes and one gradient. No weight, gradient or random stream is touched. What was found is
the `checked` event; a path that is not used is a `fallback` event and a sentence.

Another fast path: one `Path` more in `PATHS`, and its name looked for in `Setup.plain` where it is chosen, or `_leave`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oneshot.errors import MachineError
from oneshot.model import attention
from oneshot.model.logprobs import fast_head
from oneshot.model.products import onednn
from oneshot.rollout.linear import never_turned, turned
from oneshot.stages.resources.room import out_of_memory
from oneshot.stages.resources.worst_case import packs
from oneshot.stages.setup import Setup
from oneshot.stages.training.comparisons import (
    PROMPT,
    Pairs,
    fixed_pairs,
    head_pairs,
    packed_pairs,
    shared_pairs,
    tree_pairs,
    turned_pairs,
)

LIMITS = {torch.float64: 1e-6, torch.float32: 1e-3}
"""‖fast − plain‖ / ‖plain‖ above which a path is not used. Rounding stays far below, a wrong number far above."""
LIMIT = 0.1
"""The same in lower precision, where a product alone is off by some thousandths and deep models add up; what is finer
only the sampler/learner gap of the preflight can tell. Not tried on a GPU yet."""
FAILURES = (RuntimeError, ValueError, TypeError, IndexError, AttributeError, ImportError, OSError)
"""What code raises that cannot run here at all."""


@dataclass(frozen=True, kw_only=True)
class Path:
    """One fast path and how it is compared."""

    name: str
    """Its key in `Setup.plain` once it is not to be used."""
    fast: str
    plain: str
    used: Callable[[Setup], bool]
    """Whether this run would take it."""
    pairs: Callable[[Setup, tuple[int, ...]], Pairs]
    """(setup, prompt tokens) to what it computes, and the same computed plainly."""


def settle(setup: Setup, prompt: Sequence[int], *, event: Callable[..., None], note: Callable[[str], None]) -> Setup:
    """The setup with every fast path that may be used compared, and switched off where it is wrong.

    Args:
        setup: as loaded.
        prompt: of the example, or of any problem where it is not chosen yet.
        event: `RunFolder.event`.
        note: told a sentence for each path that is not used.
    """
    began, limit = time.perf_counter(), LIMITS.get(setup.policy.model.dtype, LIMIT)
    found: dict[str, float] = {}
    for path in PATHS:
        if not path.used(setup):
            continue
        difference, why = _compared(path, setup, tuple(prompt[:PROMPT]), limit)
        if not why:
            found[path.fast] = difference
            continue
        event("fallback", what=path.plain, why=why)
        note(f"warning: {path.plain} instead of {path.fast}, because {why}")
        setup = replace(setup, plain=setup.plain | {path.name})
        _leave(setup, path.name)
    used = {"head": fast_head(setup.policy.device, setup.policy.head.dtype, len(setup.policy.head))}
    if setup.engine.how:  # it has sampled for a comparison
        used["sampler"] = setup.engine.how
    if setup.policy.device.type == "cuda":
        for what, how in used.items():
            note(f"{what}: {how}")
    event("checked", paths=found, limit=limit, used=used, seconds=time.perf_counter() - began)
    return setup


def _leave(setup: Setup, name: str) -> None:
    """Switch a path off where that is not read from `Setup.plain`."""
    if name == "turned":
        never_turned(setup.policy.model)
    elif name == "fixed":
        setup.engine.fixed = setup.eval_engine.fixed = False
    elif name == "shared":
        setup.engine.share = setup.eval_engine.share = False
    elif name == "tree":
        attention.remove(setup.policy.model)


def _compared(path: Path, setup: Setup, prompt: tuple[int, ...], limit: float) -> tuple[float, str]:
    """The largest relative distance of a path, and why it may not be used: "" where it may."""
    try:
        apart = [_distance(*pair) for pair in path.pairs(setup, prompt)]
    except FAILURES as error:
        if out_of_memory(error):
            raise MachineError(
                f"memory ran out while {path.fast} were compared with {path.plain}.",
                code="E201",
                tries=("--rollout.batch 16 --optim.micro-tokens 256", "--model smollm2-135m"),
                kept="Nothing was trained.",
            ) from error
        return 0.0, f"they fail here ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    difference = max(apart)
    if all(value <= limit for value in apart):  # a NaN is not
        return difference, ""
    return difference, f"their numbers differ by {difference:.1e} from plain ones, where rounding is below {limit:g}"


def _distance(fast: Tensor, plain: Tensor) -> float:
    """‖fast − plain‖ / ‖plain‖; plain zeros must be matched to the bit."""
    apart = float((fast.detach().float() - plain.detach().float()).norm())
    size = float(plain.detach().float().norm())
    return 0.0 if not apart else apart / size if size else float("inf")


PATHS: tuple[Path, ...] = (
    Path(
        name="head",
        fast="log-probs in chunks",
        plain="log-probs over all logits at once",
        used=lambda setup: True,
        pairs=head_pairs,
    ),
    Path(
        name="fixed",
        fast="fixed slots in the sampler",
        plain="a growing cache",
        used=lambda setup: setup.engine.fixed,
        pairs=fixed_pairs,
    ),
    Path(
        name="shared",
        fast="beginnings of prompts run once",
        plain="each prompt run whole",
        used=lambda setup: setup.engine.share,
        pairs=shared_pairs,
    ),
    Path(
        name="turned",
        fast="turned products",
        plain="plain products",
        used=lambda setup: turned(setup.policy.device) or onednn(setup.policy.head),
        pairs=turned_pairs,
    ),
    Path(
        name="tree",
        fast="attention over prefix trees",
        plain="masked attention",
        used=lambda setup: packs(setup) and attention.installed(setup.policy.model),
        pairs=tree_pairs,
    ),
    Path(
        name="packed",
        fast="packed micro-batches",
        plain="padded micro-batches",
        used=packs,
        pairs=packed_pairs,
    ),
)
"""In the order of comparison: what others are computed with comes before them."""
