"""The gains of `oneshot compare`: which baselines are taken, what may be claimed, and what `--format-only` may name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.measure.instruments import instruments
from oneshot.record import RunFolder
from oneshot.types import EvalRow
from tests.unit.stages.comparing import Told, compared, folder, object_of, put, responses, run

N = 40
Compare = Callable[..., Told]
FORM = "form.py:boxed"
"""A reward of the user's own."""


def right(count: int, n: int = N) -> str:
    """The first ones right."""
    return "1" * count + "0" * (n - count)


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compare:
    """`compare(*words)`: status, stdout, stderr; in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: compared(capsys, *words)


@pytest.fixture
def told(compare: Compare) -> Callable[..., dict[str, Any]]:
    """The JSON object of a comparison that works."""
    return lambda *words: object_of(compare, *words)


@pytest.fixture
def refused(compare: Compare) -> Callable[..., dict[str, Any]]:
    """The error object of one that is refused."""
    return lambda *words: object_of(compare, *words, code=2)


def forced(words: str) -> list[EvalRow]:
    """Responses that have the grade of a forced box too."""
    return [replace(row, meta={**row.meta, "forced": row.meta["boxed"]}) for row in responses(words)]


def whole(task: str = "math500", after: int = 30, floor: float = 0.0) -> tuple[RunFolder, RunFolder]:
    """A run with every baseline that can be in its folder, and a run trained on format alone."""
    one, shape = run(Path("runs"), "one"), run(Path("runs"), "format", reward=FORM)
    for checkpoint, count in (("base", 11), ("base+icl", 12), ("base+prompt-plain", 11), ("checkpoint-4", after)):
        put(one, task, checkpoint, forced(right(count)), floor=floor)
    put(shape, task, "checkpoint-4", forced(right(11)), floor=floor)
    return one, shape


def test_gains_take_the_baselines_that_are_there(told: Callable[..., dict[str, Any]]) -> None:
    one, shape = run(Path("runs")), run(Path("runs"), "format", reward=FORM)
    words = {"base": "1" * 4 + "l" * 6, "base+icl": "1" * 16, "base+prompt-plain": "1" * 12, "checkpoint-4": "1" * 30}
    for checkpoint, word in words.items():
        put(one, "math500", checkpoint, word + "n" * (N - len(word)), prompt=checkpoint)
    put(shape, "math500", "checkpoint-4", "1" * 14 + "n" * 26)
    base = f"{one.path}:base"
    with pytest.raises(AssertionError, match="prompt of the first problem"):
        told(base, one.path)
    for checkpoint in ("base", "checkpoint-4"):
        put(one, "math500", checkpoint, words[checkpoint] + "n" * (N - len(words[checkpoint])))
    claim = told(base, one.path)["tasks"]["math500"]["comparisons"]["B"]
    gain = claim["gains"]["gain_reasoning"]
    assert (gain["against"], gain["paired"]["estimate"]) == ("icl", pytest.approx(14 / N))
    assert gain["missing"] == ["forced", "format"] and gain["claim"] == "not tested beyond lenient, prompt, icl"
    assert claim["gains"]["gain_total"]["paired"]["estimate"] == pytest.approx(26 / N)
    assert claim["strict"]["estimate"] == pytest.approx(26 / N) and claim["lenient"]["estimate"] == pytest.approx(0.5)
    assert (claim["states"]["base"]["none"], claim["found"]["base"]) == (30, 0.25)
    both = told(base, one.path, "--format-only", shape.path)["tasks"]["math500"]["comparisons"]["B"]["gains"]
    assert both["gain_reasoning"]["missing"] == ["forced"]
    assert both["gain_format"]["against"] == "format" and both["gain_format"]["paired"]["estimate"] == pytest.approx(
        10 / N
    )


def test_a_baseline_of_another_model_or_protocol_is_not_taken(told: Callable[..., dict[str, Any]]) -> None:
    base, one = folder(Path("base")), run(Path("runs"))
    put(base, "math500", "base", right(10))
    put(one, "math500", "checkpoint-4", right(20))
    put(one, "math500", "base+icl", right(30), weights="bbbb")
    put(base, "math500", "base+prompt-plain", right(15), max_new_tokens=9)
    found = told("base", one.path)
    gain = found["tasks"]["math500"]["comparisons"]["B"]["gains"]["gain_reasoning"]
    assert list(gain["values"]) == ["lenient"]
    assert any("base+prompt-plain" in note and "max_new_tokens" in note for note in found["notes"])


def test_a_claim_of_a_gain_names_its_scope_and_survives_holm(told: Callable[..., dict[str, Any]]) -> None:
    one, shape = whole()
    gains = told(one.path, "--format-only", shape.path)["tasks"]["math500"]["comparisons"]["B"]["gains"]
    assert gains["gain_reasoning"]["claim"] == gains["gain_total"]["claim"] == "supported, this run"
    assert gains["gain_format"]["claim"] == "inconclusive"
    smallest = min(gains["gain_total"]["p_value"], gains["gain_reasoning"]["p_value"])
    assert gains["gain_total"]["p_holm"] == pytest.approx(3 * smallest)


def test_a_gain_has_no_room_where_the_base_has_none(told: Callable[..., dict[str, Any]]) -> None:
    one, shape = whole("arc_easy", floor=0.25)
    claim = told(one.path, "--format-only", shape.path)["tasks"]["arc_easy"]["comparisons"]["B"]
    assert {gain["claim"] for gain in claim["gains"].values()} == {claim["claim"]} == {"no room to measure"}


def test_gains_of_two_seeds_are_not_tested(told: Callable[..., dict[str, Any]]) -> None:
    runs = [run(Path("runs"), f"s{i}", seed=i) for i in range(2)]
    for i, each in enumerate(runs):
        put(each, "math500", "base", forced(right(10)))
        put(each, "math500", "checkpoint-4", forced(right(28 + i)))
    gains = told(",".join(str(each.path) for each in runs))["tasks"]["math500"]["comparisons"]["B"]["gains"]
    assert gains["gain_total"]["claim"] == "not tested"
    assert gains["gain_total"]["seeds"]["effects"] == pytest.approx([0.45, 0.475])


def test_text_says_what_a_gain_beyond_baselines_is(compare: Compare) -> None:
    one, shape = whole()
    out = compare(one.path, "--format-only", shape.path)[1]
    assert "gain_total: +47.5 points" in out and "supported, this run" in out
    assert "a gain beyond these baselines on this task; a claim of reasoning needs it on a second set" in out


def test_only_a_checkpoint_of_a_run_has_gains(told: Callable[..., dict[str, Any]]) -> None:
    one, other = folder(Path("one"), model="m1"), folder(Path("other"), model="m2")
    put(one, "math500", "base", right(10), weights="1")
    put(other, "math500", "base", right(26), weights="2")
    assert told("one", "other")["tasks"]["math500"]["comparisons"]["B"]["gains"] == {}
    trained = run(Path("runs"))
    put(trained, "math500", "checkpoint-4", right(26))
    assert told("one", trained.path)["tasks"]["math500"]["comparisons"]["B"]["gains"] != {}
    trained.event("model", name="toy", sha256="2" * 64)
    found = told("one", trained.path)
    assert found["tasks"]["math500"]["comparisons"]["B"]["gains"] == {}
    assert any("B did not begin with the weights of A" in note for note in found["notes"])


def test_a_baseline_with_another_reference_answer_is_left_out(told: Callable[..., dict[str, Any]]) -> None:
    one = run(Path("runs"))
    for checkpoint, count in (("base", 10), ("checkpoint-4", 26)):
        put(one, "math500", checkpoint, right(count))
    put(one, "math500", "base+icl", [replace(row, answer="9") for row in responses(right(40))])
    found = told(one.path)
    assert "icl" in found["tasks"]["math500"]["comparisons"]["B"]["gains"]["gain_reasoning"]["missing"]
    assert any("base+icl" in note and "another reference answer" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("reward", "grader", "form"),
    [
        ("number", "math-lenient", None),
        ("number", "math", 10 / N),
        ("gym:chain_sum", "math-lenient", 10 / N),
        (FORM, "math-lenient", 10 / N),
    ],
)
def test_the_page_of_a_run_and_compare_give_the_same_gains(
    told: Callable[..., dict[str, Any]], reward: str, grader: str, form: float | None
) -> None:
    one = run(Path("runs"), reward=reward)
    for checkpoint, words in (("base", "l" * 10 + "0" * 30), ("checkpoint-4", "1" * 25 + "l" * 5 + "0" * 10)):
        put(one, "math500", checkpoint, words, grader=grader)
    found = told(one.path)
    gains, page = found["tasks"]["math500"]["comparisons"]["B"]["gains"], instruments(one)["format"]
    assert gains["gain_total"]["paired"]["estimate"] == pytest.approx((20 if form is None else 25) / N)
    assert gains["gain_total"]["against"] == ("own" if form is None else "strict")
    names = [name for name in ("gain_total", "gain_format", "gain_reasoning") if name in page]
    assert list(gains) == names and ("gain_format" in names) == (form is not None)
    for name in names:
        assert gains[name]["paired"]["estimate"] == pytest.approx(page[name]["paired"]["estimate"])
    assert form is None or gains["gain_format"]["paired"]["estimate"] == pytest.approx(form)
    assert any(f"math500, gains of B: {page['note'][:60]}" in note for note in found["notes"]) is bool(page["note"])


@pytest.mark.parametrize(
    ("reward", "checkpoint", "says"),
    [
        ("math", "checkpoint-4", "reward math pays right answers"),
        ("gym:chain_sum", "checkpoint-4", "reward gym:chain_sum pays right answers"),
        (FORM, "base", "no checkpoint that a run wrote"),
    ],
)
def test_what_is_no_training_on_format_alone(
    refused: Callable[..., dict[str, Any]], reward: str, checkpoint: str, says: str
) -> None:
    one, _ = whole()
    other = run(Path("runs"), "other", reward=reward)
    put(other, "math500", checkpoint, right(11))
    found = refused(one.path, "--format-only", f"{other.path}:{checkpoint}")
    assert found["code"] == "E103" and says in found["message"]


def test_a_run_of_the_arms_or_of_another_model_is_no_format_baseline(
    refused: Callable[..., dict[str, Any]],
) -> None:
    one, shape = whole()
    assert "one of the arms" in refused(one.path, "--format-only", one.path)["message"]
    bare = folder(Path("bare"))
    put(bare, "math500", "base", right(11))
    assert "no checkpoint that a run wrote" in refused(one.path, "--format-only", "bare")["message"]
    shape.event("model", name="toy", sha256="b" * 64)
    assert "began with other weights" in refused(one.path, "--format-only", shape.path)["message"]


@pytest.mark.parametrize(("control", "taken"), [("format", True), ("random", False)])
def test_a_control_arm_says_what_it_is(compare: Compare, control: str, taken: bool) -> None:
    one, shape = whole()
    shape.write_json("config.json", {**shape.config(), "control": {"name": control}, "reward": {"name": "math"}})
    shape.event("model", name="toy", sha256="aaaa")
    code, out, err = compare(one.path, "--format-only", shape.path)
    assert (code == 0) is taken
    assert taken or "control arm is random" in out + err
    assert "which does not tell it" not in out


def test_a_reward_of_your_own_is_taken_with_a_note(told: Callable[..., dict[str, Any]]) -> None:
    one, shape = whole()
    notes = told(one.path, "--format-only", shape.path)["notes"]
    assert any(f"reward is your own function {FORM}" in note for note in notes)
    assert any("whether it began with the weights of A was not recorded" in note for note in notes)


def test_beside_a_trained_control_the_format_run_is_not_used(told: Callable[..., dict[str, Any]]) -> None:
    one, shape = whole()
    other = run(Path("runs"), "other")
    put(other, "math500", "checkpoint-4", right(30))
    notes = told(one.path, other.path, "--format-only", shape.path)["notes"]
    assert any("--format-only is used where A is a base model" in note for note in notes)


def test_a_control_arm_is_marked_in_the_object_as_in_the_text(told: Callable[..., dict[str, Any]]) -> None:
    one, null = run(Path("runs"), "one"), run(Path("runs"), "null")
    null.write_json("config.json", {**null.config(), "reward": {"name": "math", "control": "shuffled"}})
    for each in (one, null):
        put(each, "math500", "base", "1" * 10 + "0" * 30)
        put(each, "math500", "checkpoint-4", "1" * 12 + "0" * 28)
    found = told(f"{null.path}:base", f"{null.path}:checkpoint-4", f"{one.path}:checkpoint-4")["arms"]
    assert [found[letter][0]["label"] for letter in "ABC"] == ["", "control arm: shuffled rewards", ""]
