"""Which of the base model's own right responses stands for an example, and where it comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.errors import UsageError
from oneshot.rollout.streams import PROBE_STEP
from oneshot.stages.training.preflight import ROUND
from oneshot.stages.training.verified_solutions import FRESH, MOST, typical, verified_solutions
from oneshot.types import Problem
from tests.unit.stages.prompting import EXAMPLE, OTHER, response, run_of, setup_of, speaking


def refuse(prompt: str, sample: int) -> str:
    raise AssertionError("nothing is sampled where there is a record")


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [
        (["7777", "77", "777"], "777"),  # the median of three
        (["7777", "77", "777", "7"], "77"),  # the lower of two
        (["b7", "a7", "7"], "a7"),  # equal lengths by their text
        (["7"], "7"),
    ],
)
def test_the_median_length(texts: list[str], chosen: str) -> None:
    best, right = typical([response(text) for text in texts])
    assert best is not None
    assert (best.text, right) == (chosen, len(texts))


def test_only_what_is_right_finished_and_says_something() -> None:
    kept = response("=7.")
    others = [response("7", right=False), response("77", finished=False), response(" \n")]
    assert typical([*others, kept]) == (kept, 1)
    assert typical(others) == (None, 0)
    assert typical([replace(kept, verdict=None)]) == (None, 0)


@given(st.permutations(["7", "77", "a77", "b77", "7777", "77777"]))
def test_the_order_of_sampling_does_not_matter(texts: list[str]) -> None:
    best, _ = typical([response(text) for text in texts])
    assert best is not None
    assert best.text == "a77"


def test_the_runs_first_step_is_read_and_nothing_sampled(tmp_path: Path) -> None:
    setup, engine = speaking(setup_of(tmp_path / "model"), refuse)
    run = run_of(
        tmp_path, setup, [response("7!"), response("no", right=False), response("it is 7"), response("7.....")]
    )
    said = list[str]()
    known = verified_solutions(setup, run, said.append)
    (solution,) = known.found
    assert (solution.problem, solution.text, solution.tokens) == (EXAMPLE, "7.....", 6)
    assert (solution.right, solution.responses, solution.source) == (3, 4, "first step")
    assert (known.suffix, known.left_out, said, engine.heard) == ("Box it.", (), [], [])


def test_what_weights_wrote_that_had_learned_is_not_the_base_models(tmp_path: Path) -> None:
    """Step 0 of such a record does not exist; the version decides all the same."""
    setup, engine = speaking(setup_of(tmp_path / "model"), lambda prompt, sample: r"\boxed{7}")
    run = run_of(tmp_path, setup, [response("learned 7")], version=1)
    (solution,) = verified_solutions(setup, run, lambda text: None).found
    assert (solution.text, solution.source, len(engine.heard)) == (r"\boxed{7}", "sampled", FRESH)


def test_without_a_right_one_the_base_model_is_sampled_as_in_the_preflight(tmp_path: Path) -> None:
    texts = {5: r"short \boxed{7}", 40: r"a longer \boxed{7}", 41: r"by far the longest \boxed{7}"}
    setup, engine = speaking(setup_of(tmp_path / "model"), lambda prompt, sample: texts.get(sample, "no"))
    run = run_of(tmp_path, setup, [response("7", right=False), response("7", finished=False)])
    said = list[str]()
    (solution,) = verified_solutions(setup, run, said.append).found
    assert (solution.text, solution.right, solution.responses) == (r"a longer \boxed{7}", 3, 64)
    assert solution.source == "sampled"
    # Training's prompt and the streams of the preflight, of which the first 32 are the same again.
    assert set(engine.heard) == {"<|user|>What is 3 + 4? Box it.<|end|><|assistant|>"}
    assert engine.streams == [(PROBE_STEP + ROUND, i) for i in range(64)]
    assert said == [f"{run.path.name} records no right response to pi by its base model: sampling 64"]


def test_never_solved_is_an_error_and_no_solution_is_made_up(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model"), lambda prompt, sample: r"\boxed{8}")
    run = run_of(tmp_path, setup, [response("7", right=False)])
    with pytest.raises(UsageError, match=r"never solved the example pi of .*none in 64 samples") as caught:
        verified_solutions(setup, run, lambda text: None)
    assert caught.value.code == "E105"
    assert any("--best-prompt" in line for line in caught.value.tries)


def test_of_several_examples_each_has_its_own_and_the_unsolved_are_said(tmp_path: Path) -> None:
    third = Problem(id="tau", prompt="What is 9 + 9?", answer="18")

    def answer(prompt: str, sample: int) -> str:
        return r"so \boxed{18}" if "9 + 9" in prompt and sample == 3 else "no"

    setup, _ = speaking(setup_of(tmp_path / "model"), answer)
    run = run_of(tmp_path, setup, [response("it is 7")], examples=[EXAMPLE, OTHER, third])
    said = list[str]()
    known = verified_solutions(setup, run, said.append)
    assert [(s.problem.id, s.text, s.source) for s in known.found] == [
        ("pi", "it is 7", "first step"),
        ("tau", r"so \boxed{18}", "sampled"),
    ]
    assert known.left_out == ("rho",)
    assert said[-1] == "warning: left out of the prompt, since the base model never solved them: rho"


def test_a_run_without_examples_or_with_too_many(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model"), refuse)
    many = [replace(EXAMPLE, id=f"p{i}") for i in range(MOST + 1)]
    for examples, code in (([], "E104"), (many, "E103")):
        run = run_of(tmp_path, setup, [response("7")], examples=many)
        run.write_example(examples)
        with pytest.raises(UsageError) as caught:
            verified_solutions(setup, run, lambda text: None)
        assert caught.value.code == code
