"""Which steps the random streams of which work have. Loads no torch.

A stream is keyed by (run seed, step, sample). Two pieces of work under one seed must share no step, or they draw the
same numbers. Each stretch here begins where the one before ends, so none can reach into another. A new kind of work
takes its place in this table, before `spare`, which shrinks by as much: what is published depends on the others.
"""

from __future__ import annotations

from itertools import accumulate

from oneshot.config.checks import TRAINING_STEPS

SIZES = {
    "training": TRAINING_STEPS,
    "probe": 1_000_000,  # the demo's choice of an example, the preflight, the demo's samples
    "decode": 1_000_000,  # timed decoding
    "pool": 2_000_000,  # a probe of a whole pool: two phases
    "check": 1_000_000,  # comparisons of fast paths with plain ones
    "map": 1_000_000,  # the transfer map
    "spare": 3_000_000,
    "evaluation": (1 << 32) - 10_000_000,  # up to where a step would be two words of a seed
}
"""Kind of work -> how many steps it has, in their order."""

FIRST = dict(zip(SIZES, accumulate(SIZES.values(), initial=0), strict=False))
"""Kind of work -> its first step."""

PROBE_STEP = FIRST["probe"]
DECODE_STEP = FIRST["decode"]
POOL_STEP = FIRST["pool"]
CHECK_STEP = FIRST["check"]
MAP_STEP = FIRST["map"]
EVAL_STEP = FIRST["evaluation"]
