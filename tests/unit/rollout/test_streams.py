"""Random streams: every kind of work has steps of its own, and no other place in the code gives any out."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

import oneshot
from oneshot.config.load import load
from oneshot.errors import UsageError
from oneshot.rollout import streams
from oneshot.rollout.streams import FIRST, SIZES
from oneshot.stages.probing.sampler import MAX_PROBLEMS, STEPS

GIVEN = re.compile(r"^[A-Z_]*_STEP\b.*=\s*[\d_]{4,}", re.MULTILINE)


def test_no_two_kinds_of_work_share_a_step() -> None:
    names = list(SIZES)
    assert FIRST["training"] == 0
    assert all(FIRST[a] + SIZES[a] == FIRST[b] for a, b in pairwise(names))
    assert min(SIZES.values()) > 0
    assert FIRST[names[-1]] + SIZES[names[-1]] == 1 << 32
    own = (streams.PROBE_STEP, streams.DECODE_STEP, streams.POOL_STEP, streams.CHECK_STEP, streams.EVAL_STEP)
    assert len(set(own)) == len(own)


def test_published_samples_come_from_these_steps() -> None:
    assert (streams.PROBE_STEP, streams.DECODE_STEP, streams.POOL_STEP) == (1_000_000, 2_000_000, 3_000_000)
    assert streams.EVAL_STEP == 10_000_000


def test_the_settings_allow_no_training_step_beyond_its_stretch() -> None:
    last = SIZES["training"]
    assert load([], {}, {"optim.steps": str(last)}).config.optim.steps == last
    with pytest.raises(UsageError, match=f"at most {last}"):
        load([], {}, {"optim.steps": str(last + 1)})


def test_both_phases_of_a_pools_probe_stay_in_their_stretch() -> None:
    assert sorted(STEPS.values()) == [streams.POOL_STEP, streams.POOL_STEP + MAX_PROBLEMS]
    assert max(STEPS.values()) + MAX_PROBLEMS == streams.CHECK_STEP


def test_no_other_file_gives_out_steps() -> None:
    root = Path(oneshot.__file__).parent
    assert GIVEN.search("X_STEP = 3_000_000") and not GIVEN.search("X_STEP = FIRST['x']")
    found = [str(path) for path in root.rglob("*.py") if GIVEN.search(path.read_text("utf-8"))]
    assert found == []
