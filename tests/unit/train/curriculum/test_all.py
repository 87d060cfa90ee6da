"""What holds for every curriculum: exact resume, small state, the registry's errors, pools that are too small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot.errors import UsageError
from oneshot.history import History
from oneshot.rollout.draw import uniform
from oneshot.train.curriculum import CURRICULA
from oneshot.train.curriculum.base import found, random
from oneshot.types import Problem, Sampling
from tests.unit.train.curriculum.simulated import pool, resumed, run, sampled, started

NAMES = ("gps", "in-turn", "mopps", "pairing", "pcl", "sgac")
LEARNING = tuple(name for name in NAMES if name != "in-turn")
RATES = {f"p{i}": rate for i, rate in enumerate(np.linspace(0, 1, 14))}


def test_names() -> None:
    assert tuple(CURRICULA.names()) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_five_steps_resumed_in_the_middle_are_five_straight(name: str, at: int, tmp_path: Path) -> None:
    def make() -> Any:
        return started(name, pool(14))

    straight, history = run(make(), RATES, range(5))
    again, kept = resumed(make, RATES, 5, at, tmp_path / "history.jsonl")
    assert again == straight
    assert kept.rows() == history.rows()


@pytest.mark.parametrize("name", LEARNING)
def test_longer_runs_too_and_the_past_matters(name: str, tmp_path: Path) -> None:
    def make() -> Any:
        return started(name, pool(14), groups=3)

    straight, _ = run(make(), RATES, range(30))
    assert resumed(make, RATES, 30, 17, tmp_path / "history.jsonl")[0] == straight
    # The comparison can fail: other outcomes lead to other choices.
    assert run(make(), {key: 1 - rate**4 for key, rate in RATES.items()}, range(30))[0] != straight


@pytest.mark.parametrize("name", LEARNING)
def test_the_state_is_its_name(name: str) -> None:
    curriculum = started(name, pool(14))
    run(curriculum, RATES, range(3))
    assert json.loads(json.dumps(curriculum.state_dict())) == {"curriculum": name}
    for other in ({}, {"curriculum": "another"}):
        with pytest.raises(UsageError, match=f"cannot go on with '{name}'") as caught:
            curriculum.load_state_dict(other)
        assert caught.value.code == "E107"


@pytest.mark.parametrize("name", NAMES)
def test_every_step_fills_every_group_from_the_pool(name: str) -> None:
    chosen, _ = run(started(name, pool(14), groups=5), RATES, range(14))
    assert all(len(step) == 5 and set(step) <= set(RATES) for step in chosen)


@pytest.mark.parametrize("name", NAMES)
def test_asking_twice_changes_nothing(name: str) -> None:
    """A step that was given up and is asked for again, as the loop may."""
    curriculum = started(name, pool(14))
    _, history = run(curriculum, RATES, range(4))
    assert curriculum.next(4, history) == curriculum.next(4, history)


@pytest.mark.parametrize("name", LEARNING)
def test_visits_of_unknown_problems_are_passed_over(name: str) -> None:
    stranger = Problem(id="stranger", prompt="?", answer="7")
    chosen: list[list[list[str]]] = [[], []]
    for mixed in (0, 1):
        curriculum, history = started(name, pool(14)), History()
        for step in range(8):
            problems = curriculum.next(step, history)
            chosen[mixed].append([p.id for p in problems])
            history.observe(step, sampled(problems, RATES, step) + mixed * sampled([stranger], {"stranger": 0.5}, step))
    assert chosen[0] == chosen[1]


def test_no_stream_is_one_that_a_response_is_drawn_from() -> None:
    ours = {random(0, step, purpose).random() for step in range(50) for purpose in (0, 1)}
    theirs = {float(uniform(Sampling(max_new_tokens=1), step, s)[0]) for step in range(50) for s in range(50)}
    assert len(ours) == 100
    assert not ours & theirs


@pytest.mark.parametrize(
    ("name", "options", "code", "says"),
    [
        ("mops", {}, "E102", "unknown curriculum 'mops'. Did you mean 'mopps'?"),
        ("inturn", {}, "E102", "Did you mean 'in-turn'?"),
        ("mopps", {"decays": 0.5}, "E101", "has no option 'decays'. Did you mean 'decay'?"),
        ("in-turn", {"pick": 1}, "E101", "It takes: no options."),
        ("pairing", {"lambda_neg": 2}, "E101", "has no option 'lambda_neg'"),
        ("mopps", {"decay": "half"}, "E103", "'half' is not a float"),
        ("mopps", {"decay": 1.5}, "E103", "curriculum 'mopps', option 'decay': 1.5 must be between 0 and 1."),
        ("pcl", {"wide": 0}, "E103", "option 'wide': 0 must be at least 1."),
        ("gps", {"draws": 0}, "E103", "option 'draws'"),
        ("sgac", {"candidates": 1}, "E103", "option 'candidates'"),
        ("pairing", {"failures": 0}, "E103", "option 'failures'"),
        ("pairing", {"success": -1}, "E103", "option 'success': -1 must be between 0 and 1000."),
        ("pairing", {"failure": "nan"}, "E103", "option 'failure': nan must be between 0 and 1000."),
        ("gps", {"diversity": "inf"}, "E103", "option 'diversity': inf must be finite."),
    ],
)
def test_wrong_names_and_options(name: str, options: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        CURRICULA.build(name, options)
    assert caught.value.code == code
    assert says in caught.value.message


@pytest.mark.parametrize(
    ("name", "examples", "says"),
    [
        ("mopps", 4, "needs a pool of at least 5 examples to have a choice at 4 groups a step; this one has 4."),
        ("gps", 4, "at least 5"),
        ("pcl", 1, "at least 5"),
        ("pairing", 1, "at least 2"),
        ("sgac", 3, "at least 4"),
    ],
)
def test_a_pool_that_is_too_small(name: str, examples: int, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        started(name, pool(examples))
    assert caught.value.code == "E105"
    assert says in caught.value.message
    assert caught.value.tries[0].startswith("--curriculum in-turn")


def test_a_smaller_pick_makes_a_small_pool_do() -> None:
    with pytest.raises(UsageError) as caught:
        started("mopps", pool(4))
    assert "--data.curriculum-options.pick 2" in caught.value.tries
    chosen, _ = run(started("mopps", pool(4), pick=2), RATES, range(2))
    assert [len(set(step)) for step in chosen] == [2, 2]
    with pytest.raises(UsageError, match="would pick 5 examples a step") as caught:
        started("mopps", pool(9), pick=5)
    assert caught.value.code == "E105"
    assert "--rollout.groups 5" in caught.value.tries


@pytest.mark.parametrize(
    ("name", "examples", "groups", "options", "first"),
    [
        ("pairing", 9, 4, {}, 3),
        ("pairing", 8, 4, {}, 2),
        ("pairing", 2, 64, {}, 1),
        ("sgac", 9, 2, {"candidates": 5}, 3),
        ("sgac", 9, 8, {}, 1),
    ],
)
def test_a_run_that_would_end_before_the_first_choice_is_refused(
    name: str, examples: int, groups: int, options: dict[str, Any], first: int
) -> None:
    design = CURRICULA.build(name, options)
    design.check(examples, groups)
    design.check(examples, groups, first + 1)
    for steps in range(1, first + 1):
        with pytest.raises(UsageError, match=f"looks for {first} steps before it chooses") as caught:
            design.check(examples, groups, steps)
        assert caught.value.code == "E105"
        assert caught.value.tries[0] == f"--steps {2 * first}"


@pytest.mark.parametrize("name", ["gps", "in-turn", "mopps", "pcl"])
def test_the_others_choose_from_the_first_step_on(name: str) -> None:
    CURRICULA.build(name).check(9, 4, 1)


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_the_pairing_s_alone(name: str) -> None:
    assert CURRICULA.build(name).weights == (1.0, 1.0)
    curriculum, history = started(name, pool(14)), History()
    if name != "pairing":
        assert all(found(curriculum, step) is None for step in range(3) if curriculum.next(step, history))


def test_embeddings_are_asked_for_once_and_only_where_they_are_used() -> None:
    asked: list[int] = []

    def embed(problems: Any) -> Any:
        asked.append(len(problems))
        return np.eye(len(problems), dtype=np.float32)

    for name in NAMES:
        CURRICULA.build(name).start(pool(14), groups=4, seed=0, embed=embed)
    assert asked == [14, 14]  # gps and pcl
