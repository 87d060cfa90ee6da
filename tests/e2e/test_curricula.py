"""Pools and curricula through the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from tests.e2e.conftest import SMALL, OneShot, one_in, write_pool
from tests.e2e.stopping import SAME, recorded, resume, weights


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return write_pool(tmp_path / "pool.jsonl", [{"prompt": f"{i} + 1?", "answer": str(i + 1)} for i in range(7)])


@pytest.fixture
def few(oneshot: OneShot, tiny: Path, pool: Path, graded: Callable[..., None]) -> OneShot:
    graded(one_in(2))
    words = ("train", "--model", tiny, "--data", pool, "--rollout.groups", "4", "--rollout.group-size", "4")
    return lambda *more: oneshot(*words, *SMALL, *SAME, *more)


def visited(run: RunFolder) -> list[list[str]]:
    return [[group.problem.id for group in run.read_groups(step)] for step in run.rollout_steps()]


def test_a_whole_pool_in_shuffled_epochs(few: OneShot) -> None:
    told = few("--steps", "7")
    assert told.code == 0, told.err
    assert "training on 7 examples, 4 a step in shuffled epochs of 1.75 steps" in told.err
    assert set(Counter(problem for step in visited(told.run) for problem in step).values()) == {4}


@pytest.mark.parametrize(
    "curriculum", [("mopps", "--data.curriculum-options.pick", "2"), ("gps", "--data.curriculum-options.memory", "2")]
)
def test_a_curriculum_resumes_to_the_bit(few: OneShot, oneshot: OneShot, curriculum: tuple[str, ...]) -> None:
    words = ("--curriculum", *curriculum)
    whole = few("--steps", "5", *words).run
    half = few("--steps", "2", *words)
    assert f"training on 7 examples, chosen by {curriculum[0]}" in half.err
    assert resume(oneshot, half.run, "--steps", "5", *words).code == 0
    assert visited(half.run) == visited(whole)
    assert recorded(half.run) == recorded(whole)
    assert weights(half.run, 5) == weights(whole, 5)
    assert half.run.history_path.read_bytes() == whole.history_path.read_bytes()
    told = resume(oneshot, half.run, "--steps", "6", "--curriculum", "pairing")
    assert told.code == 2
    assert f'E107 data.curriculum was "{curriculum[0]}" in ' in told.err
    assert 'cannot become "pairing"' in told.err
    told = resume(oneshot, half.run, "--steps", "6", curriculum[1], "1")
    assert told.code == 2
    assert "E107 data.curriculum_options." in told.err
    assert "cannot become 1" in told.err


def pair_of(run: RunFolder) -> dict[str, Any]:
    """The event of the step at which a pair was found."""
    (found,) = [event for event in run.events() if event["kind"] == "pair" and event["hard"]]
    return found


@pytest.mark.parametrize("minibatches", ["1", "2"])
def test_the_weights_of_a_pair_resume_to_the_bit(few: OneShot, oneshot: OneShot, minibatches: str) -> None:
    """Stopped when the pair had been trained on for a step."""
    words = ("--curriculum", "pairing", "--algorithm.minibatches", minibatches, "--rollout.group-size", "8")
    weighted = (*words, "--data.curriculum-options.success", "3", "--data.curriculum-options.failure", "2")
    told = few("--steps", "6", *weighted)
    whole, pair = told.run, pair_of(told.run)
    first = pair["step"]
    assert first <= 4
    hard, easy = pair["hard"], pair["easy"]
    assert f"pairing: from here on {hard['id']} (solved {hard['successes']} of {hard['samples']} times)" in told.err
    assert all(sorted(step) == sorted([hard["id"], easy["id"]] * 2) for step in visited(whole)[first:])
    half = few("--steps", str(first + 1), *weighted)
    assert resume(oneshot, half.run, "--steps", "6").code == 0
    assert recorded(half.run) == recorded(whole)
    assert weights(half.run, 6) == weights(whole, 6)
    assert pair_of(half.run)["hard"] == hard
    plain = few("--steps", "6", *words).run
    norms, others = ([row["grad_norm"] for row in run.metrics()] for run in (plain, whole))
    assert norms[:first] == others[:first]
    assert norms[first] != others[first]
    assert weights(plain, 6) != weights(whole, 6)
    told = resume(oneshot, half.run, "--steps", "7", "--data.curriculum-options.success", "2")
    assert told.code == 2
    assert "E107 data.curriculum_options.success was 3" in told.err


def test_a_pool_is_not_stopped_for_want_of_a_success(few: OneShot, graded: Callable[..., None]) -> None:
    """Solved in the preflight, then never again: of one example that is E501, of several it may be the examples."""
    tried = [0]

    def right(response: str, reference: str) -> bool:
        tried[0] += 1
        return tried[0] <= 56 and tried[0] % 2 == 0

    graded(right)
    told = few("--steps", "12")
    assert "solves the 7 examples 2" in told.err
    assert told.code == 0, told.err
    assert "no success in" not in told.err  # with --yes it would be a warning
    assert sum(row["train/accuracy"] for row in told.run.metrics()) == 0


def test_a_run_too_short_to_choose(few: OneShot) -> None:
    told = few("--steps", "2", "--curriculum", "pairing")
    assert told.code == 2
    assert "E105 curriculum 'pairing' looks for 2 steps before it chooses (7 examples, 4 groups a step)" in told.err
    assert "--steps 4" in told.err
    assert not Path("runs").exists()


def test_bad_input(few: OneShot) -> None:
    for words, code, says in (
        (("--curriculum", "mops"), "E102", "Did you mean 'mopps'?"),
        (("--curriculum", "mopps", "--data.curriculum-options.dekay", "1"), "E101", "Did you mean 'decay'?"),
        (("--curriculum", "mopps", "--data.curriculum-options.decay", "2"), "E103", "between 0 and 1"),
        (("--curriculum", "mopps", "--rollout.groups", "7"), "E105", "needs a pool of at least 8 examples"),
        (("--curriculum", "sgac", "--data.curriculum-options.candidates", "9"), "E105", "at least 9"),
    ):
        told = few("--steps", "1", *words)
        assert told.code == 2
        assert told.err.startswith(code) or f"\n{code} " in told.err
        assert says in told.err
    assert not Path("runs").exists()
