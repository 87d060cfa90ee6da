"""What control arms pay: hand-worked groups, keyed random numbers, and verdicts that stay true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot.config.checks import CONTROLS as NAMES
from oneshot.rewards import controls
from oneshot.rewards.controls import CONTROLS, Pay, form_of, label
from oneshot.rewards.controls.form import form_is_box, needs_box
from oneshot.rewards.functions import build_verifier
from oneshot.types import Completion, Group, Problem

GRADE = build_verifier("number")


def said(text: str, *, answer: str = "5", finished: bool = True) -> Completion:
    made = Completion(tokens=(1, 2), logprobs=(-1.0, -1.0), text=text, finished=finished)
    return made.scored(GRADE(text, answer))


def group(texts: Sequence[str], *, number: int = 0, problem: str = "p", answer: str = "5") -> Group:
    return Group(
        id=number,
        problem=Problem(id=problem, prompt="?", answer=answer),
        prompt_tokens=(1,),
        completions=tuple(said(text, answer=answer) for text in texts),
        policy_version=0,
    )


def rewards(groups: Sequence[Group]) -> list[list[float]]:
    return [[c.reward for c in g.completions] for g in groups]


def paid(pay: Pay, *groups: Group, step: int = 0) -> list[list[float]]:
    """Rewards after paying; nothing else of the groups may have changed."""
    found = pay(step, groups)
    kept = [replace(g, completions=tuple(replace(c, reward=0.0) for c in g.completions)) for g in found]
    assert kept == [replace(g, completions=tuple(replace(c, reward=0.0) for c in g.completions)) for g in groups]
    return rewards(found)


def test_every_name_that_the_settings_allow_has_an_arm_and_words_of_its_own() -> None:
    assert tuple(CONTROLS) == NAMES
    assert len({control.words for control in CONTROLS.values()}) == len(CONTROLS)
    assert all(control.meaning.endswith(".") for control in CONTROLS.values())
    assert all(control.words.startswith(name) for name, control in CONTROLS.items())


def test_the_label_is_empty_for_a_normal_run_and_names_what_is_not_normal() -> None:
    assert label({}) == label({"reward": {"control": ""}, "data": {"corrupt": 0.0}}) == ""
    assert label({"reward": {"control": "shuffled"}}) == "control arm: shuffled rewards"
    assert label({"data": {"corrupt": 0.6}}) == "answers of 60 % of the examples corrupted"
    for odd in ([1], "shuffled", 3, None):
        assert label({"reward": odd, "data": odd}) == ""
    assert label({"data": {"corrupt": "much"}}) == label({"data": {"corrupt": 10**400}}) == ""
    assert label({"reward": {"control": "sorcery"}, "data": [1]}) == "control arm: sorcery"
    both = label({"reward": {"control": "noop"}, "data": {"corrupt": 0.125}})
    assert both == "control arm: noop, learning rate 0; answers of 12.5 % of the examples corrupted"
    assert label({"reward": {"control": "of-later"}}) == "control arm: of-later"


def test_shuffled_keeps_each_groups_rewards_and_moves_them() -> None:
    right, wrong = ["It is 5."] * 3 + ["It is 6."] * 5, ["It is 6."] * 8
    before = [group(right), group(wrong, number=1)]
    after = [rewards(controls.shuffled(0)(step, before)) for step in range(50)]
    assert all(Counter(found[0]) == {1.0: 3, 0.0: 5} and found[1] == [0.0] * 8 for found in after)
    shares = [sum(found[0][place] for found in after) / 50 for place in range(8)]
    assert all(0.1 < share < 0.7 for share in shares), shares  # 3/8 each, whatever was right
    assert paid(controls.shuffled(0), *before) == after[0]


def test_shuffled_across_groups_leaves_no_groups_luck_with_its_responses() -> None:
    lucky, unlucky = group(["It is 5."] * 4), group(["It is 6."] * 4, number=1)
    other = group(["It is 5."] * 4, number=2, problem="q")
    groups = [lucky, unlucky, other]
    assert paid(controls.shuffled(0), *groups) == [[1] * 4, [0] * 4, [1] * 4]  # in groups of equal rewards
    after = [rewards(controls.shuffled(0, across=True)(step, groups)) for step in range(200)]
    assert all(sum(found[0]) + sum(found[1]) == 4 and found[2] == [1] * 4 for found in after)
    share = sum(sum(found[0]) for found in after) / 800
    assert 0.44 < share < 0.56, share  # half of what right responses earned, as of wrong ones
    assert paid(controls.shuffled(0, across=True), *groups) == after[0]


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10_000), number=st.integers(0, 500), sample=st.integers(0, 9))
def test_a_keyed_number_depends_on_each_part_of_its_key(seed: int, step: int, number: int, sample: int) -> None:
    found = controls.keyed(seed, step, number, sample)
    assert 0 <= found < 1
    assert found == controls.keyed(seed, step, number, sample)
    others = [(seed + 1, step, number, sample), (seed, step + 1, number, sample), (seed, step, number + 1, sample)]
    assert found not in [controls.keyed(*key) for key in (*others, (seed, step, number, sample + 1))]


def test_random_pays_half_whatever_is_said_and_the_same_again() -> None:
    groups = [group(["It is 5.", "It is 6."] * 4, number=n) for n in range(100)]
    first = paid(controls.coin(3), *groups, step=7)
    assert first == paid(controls.coin(3), *groups, step=7)
    assert first != paid(controls.coin(4), *groups, step=7)
    assert first != paid(controls.coin(3), *groups, step=8)
    ones = sum(map(sum, first))
    assert 340 < ones < 460  # 400 of 800, four standard deviations
    assert 160 < sum(r for row in first for r in row[::2]) < 240  # right responses no more often


def test_a_wrong_label_is_paid_per_problem_and_a_problem_without_one_pays_nothing() -> None:
    def score(response: str, wanted: str) -> float:
        return float(GRADE(response, wanted).correct)

    pay = controls.against({"p": "6", "q": "7"}, score)
    texts = ["It is 5.", "It is 6.", "It is 7."]
    groups = [group(texts), group(texts, number=1, problem="q"), group(texts, number=2, problem="r")]
    assert paid(pay, *groups) == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_the_most_frequent_wrong_answer_is_found_and_equal_ones_count_together() -> None:
    texts = ["It is 5."] * 9 + ["It is 7."] * 3 + ["It is 6."] * 2 + [r"\boxed{6.0}"] * 2 + ["I do not know."] * 5
    other = group(["It is 5."] * 4, problem="q")
    assert controls.wrong_answers([group(texts), other], lambda text: True) == {"p": "6"}
    assert controls.wrong_answers([group(texts)], lambda text: text != "6") == {"p": "7"}
    assert controls.wrong_answers([other], lambda text: True) == {}


def test_a_label_that_nobody_guesses_has_seven_digits_and_is_not_the_answer() -> None:
    found = [controls.unguessable(f"p{i}", "5") for i in range(200)]
    assert all(text.isdigit() and len(text) == 7 for text in found)
    assert len(set(found)) == 200
    assert found[3] == controls.unguessable("p3", "6")  # the id decides
    assert controls.unguessable("p3", found[3]) != found[3]  # unless it is the answer
    assert controls.unguessable("p3", f"{found[3]}.0") != found[3]


def test_the_majority_is_counted_over_all_groups_of_a_problem_and_a_tie_pays_nobody() -> None:
    first, second = group(["It is 6.", "It is 6.", "It is 5."]), group(["It is 5.", "It is 6.", "?"], number=1)
    assert paid(controls.majority, first, second) == [[1, 1, 0], [0, 1, 0]]
    assert paid(controls.majority, group(["It is 6.", "It is 5."])) == [[0, 0]]
    assert paid(controls.majority, group(["no answer", "none"])) == [[0, 0]]
    alike = group([r"\boxed{0.5}", r"\boxed{\frac{1}{2}}", r"\boxed{7}", "?"])  # two ways to say it beat one 7
    assert paid(controls.majority, alike) == [[1, 1, 0, 0]]
    apart = [group(["It is 6.", "It is 6."]), group(["It is 7.", "It is 7."], number=1, problem="q")]
    assert paid(controls.majority, *apart) == [[1, 1], [1, 1]]


def test_right_responses_are_paid_one_whatever_their_score() -> None:
    graded = group(["It is 5.", "It is 6."])
    scored = [replace(c, verdict=replace(c.verdict, score=0.3), reward=0.3) for c in graded.completions if c.verdict]
    assert paid(controls.right_only, replace(graded, completions=tuple(scored))) == [[1, 0]]


@pytest.mark.parametrize(
    ("reward", "text", "finished", "holds"),
    [
        ("math", r"So it is \boxed{12}", True, True),
        ("math", r"So it is \boxed{12} or \boxed{13} and so on", False, True),
        ("math", r"So it is \boxed{12", True, False),
        ("math", r"So it is \boxed{ }.", True, False),
        ("math", "So it is 12.", True, False),
        ("math", r"<think>\boxed{12}</think> it is 12", True, False),
        ("gym:chain_sum", r"\boxed{12}", True, True),
        ("number", "We add 3 and 4. It is 12.8 miles.", True, True),
        ("number", "It is 12.8 miles.", False, False),
        ("number", "We add 3 and 4: 3 + 4 = 7.", True, False),
        ("number", "We have 12.\nThat is all", True, False),
        ("number", r"Then it is \boxed{\frac{3}{4}}.", True, True),
        ("number", "It is 3/4", True, True),
        ("number", "It is x2.", True, False),
        ("number", "It is 1,234!", True, True),
        ("number", "", True, False),
    ],
)
def test_the_form_of_a_response(reward: str, text: str, finished: bool, holds: bool) -> None:
    rule = form_of(reward)
    assert rule is not None
    assert rule(said(text, finished=finished)) is holds
    paying = controls.form(rule)
    assert rewards(paying(0, [replace(group(["?"]), completions=(said(text, finished=finished),))])) == [[float(holds)]]


def test_rewards_without_a_form_have_none() -> None:
    assert [form_of(name) for name in ("exact", "choice", "reward.py:score", "gym-lenient:chain_sum")] == [None] * 4


@pytest.mark.parametrize(
    ("name", "box"),
    [("math", True), ("gym:chain_sum", True), ("number", False), ("gym-lenient:sum", False), ("reward.py:score", None)],
)
def test_whether_the_form_is_a_box(name: str, box: bool | None) -> None:
    assert form_is_box(name) is needs_box(name) is box
    assert (form_of(name) is not None) is (bool(box) or name == "number")


@pytest.mark.parametrize("name", ["math", "paper-train", "math-lenient", "paper-eval"])
def test_a_grader_that_needs_a_box_finds_no_answer_without_one(name: str) -> None:
    assert form_is_box(name)
    assert build_verifier(name)("The answer is 12", "12").correct is not needs_box(name)


def test_as_graded_means_as_graded() -> None:
    assert paid(controls.identity, group(["It is 5.", "It is 6."])) == [[1, 0]]
    assert len(get_args(Pay)[0]) == 2
