"""The arm `rft`: what is sampled, kept, recorded, and drawn from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.errors import DataError
from oneshot.record import RunFolder
from oneshot.stages.training import imitation
from oneshot.stages.training.imitation import BUDGET, EACH, EACH_BUDGET, ROUND, WANTED, right_responses
from oneshot.types import Completion, Sampling
from tests.unit.stages.parts import ScriptedEngine, prober, problems


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path, "run", {}, ())


def test_one_example_is_sampled_until_enough_are_right_and_never_again(run: RunFolder) -> None:
    said: list[str] = []
    engine = ScriptedEngine(lambda round, problem: 20)
    found = right_responses(lambda: prober(engine), problems(1), run, said.append)
    assert [round for round, _ in engine.asked] == [ROUND, ROUND + 1, ROUND + 2, ROUND + 3]  # 80 right, 64 wanted
    assert len(found["p0"]) == WANTED
    assert said == [f"rft: imitates 64 right responses of the base model, found in {4 * EACH_BUDGET} samples"]
    again = right_responses(lambda: pytest.fail("nothing is sampled again"), problems(1), run, said.append)
    assert again == {"p0": [Completion(tokens=(1,), logprobs=(-1.0,), text="7", finished=True)] * WANTED}
    assert [c.tokens for c in found["p0"]] == [c.tokens for c in again["p0"]]
    assert len(said) == 1


def test_the_budget_is_bounded_and_an_example_without_any_is_left_out(run: RunFolder) -> None:
    said: list[str] = []
    engine = ScriptedEngine(lambda round, problem: 8 if problem == 0 else 0)
    found = right_responses(lambda: prober(engine), problems(20), run, said.append)
    assert list(found) == ["p0"]
    assert len(found["p0"]) == EACH
    assert sum(len(asked) for _, asked in engine.asked) == 20 * EACH_BUDGET
    assert said[0].endswith("found in 640 samples; 19 examples have none and are left out")


def test_a_model_that_is_never_right_is_refused_after_the_whole_budget(run: RunFolder) -> None:
    engine = ScriptedEngine(lambda round, problem: 0)
    with pytest.raises(DataError, match=f"0 of {BUDGET} responses of the base model were right") as refused:
        right_responses(lambda: prober(engine), problems(1), run, print)
    assert refused.value.code == "E303"
    assert not (run.path / imitation.FILE).exists()


def test_a_stream_draws_the_same_response_whatever_else_is_asked_and_all_are_drawn() -> None:
    made = [Completion(tokens=(i,), logprobs=(-0.5,), text=str(i), finished=True) for i in range(5)]
    right = {"p0": made, "p1": made[:1]}
    engine = imitation.engine(right, problems(2), lambda problem: (int(problem.id[1:]),), seed=3)
    streams = [(step, sample) for step in range(40) for sample in range(4)]
    drawn = engine.generate([(0,)] * 160, Sampling(), streams)
    assert drawn[::-1] == engine.generate([(0,)] * 160, Sampling(), streams[::-1])
    assert {c.text for c in drawn} == {"0", "1", "2", "3", "4"}
    assert {c.text for c in engine.generate([(1,)] * 160, Sampling(), streams)} == {"0"}
    other = imitation.engine(right, problems(2), lambda problem: (int(problem.id[1:]),), seed=4)
    assert drawn != other.generate([(0,)] * 160, Sampling(), streams)


def test_two_problems_with_one_prompt_share_their_responses() -> None:
    made = [Completion(tokens=(i,), logprobs=(), text=str(i), finished=True) for i in range(2)]
    engine = imitation.engine({"p0": made[:1], "p1": made[1:]}, problems(2), lambda problem: (9,), seed=0)
    assert engine.responses == {(9,): made}
