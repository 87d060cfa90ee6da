"""A study file is read strictly: what is wrong is named with its line and the nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.config.sources import find_recipe, find_study
from oneshot.errors import UsageError
from oneshot.stages.studies.arms import Plan, check_different, contents, passed_over, plan_of, resolved
from oneshot.stages.studies.file import read_study

GOOD = """\
name = "small"
claim = "One example teaches."
baseline = "shuffled"
contrast = [["full", "no-kl"]]
seeds = [0, 1, 2]
[base]
data.example = "What is 2 + 3?"
data.answer = "5"
reward.name = "number"
[base.optim]
steps = 2
[[arm]]
name = "full"
paper = "70.8 (Table 5)"
[[arm]]
name = "no-kl"
set = { "algorithm.kl" = 0.0 }
[[arm]]
name = "shuffled"
[arm.set]
reward.control = "shuffled"
"""


def plan(tmp_path: Path, text: str = GOOD, name: str = "") -> Plan:
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    return plan_of(read_study(tmp_path / "s.toml"), tmp_path / "runs", name)


def test_what_is_read(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.folder == tmp_path / "runs" / "study-small"
    assert [arm.name for arm in made.study.arms] == ["full", "no-kl", "shuffled"]
    assert made.study.arms[0].paper == "70.8 (Table 5)"
    assert made.study.contrasts == (("full", "no-kl"),)
    assert made.arms["no-kl"].algorithm.kl == 0.0
    assert made.arms["full"].algorithm.kl == 0.001
    assert made.arms["shuffled"].reward.control == "shuffled"
    assert {config.optim.steps for config in made.arms.values()} == {2}
    assert made.cells[:4] == [("full", 0), ("no-kl", 0), ("shuffled", 0), ("full", 1)]
    cell = made.config("no-kl", 2)
    assert (cell.seed, cell.save.runs, cell.save.name) == (2, str(made.folder), "no-kl-s2")
    assert plan(tmp_path, name="other").folder.name == "study-other"


@pytest.mark.parametrize(
    ("before", "after", "code", "said"),
    [
        ("claim = ", "clame = ", "E101", "s.toml line 2: unknown key clame. Did you mean 'claim'?"),
        ('paper = "', 'papr = "', "E101", "s.toml line 14: unknown key papr. Did you mean 'paper'?"),
        ('"algorithm.kl" = 0.0', '"algorithm.kll" = 0.0', "E101", "s.toml line 17: unknown key algorithm.kll."),
        ("steps = 2", "stepps = 2", "E101", "s.toml line 11: unknown key optim.stepps."),
        ("steps = 2", 'steps = "two"', "E103", "s.toml line 11: optim.steps = 'two' is not a whole number"),
        ('name = "no-kl"', 'name = "full"', "E103", "s.toml line 16: there are two arms 'full'"),
        ('baseline = "shuffled"', 'baseline = "shufled"', "E102", "line 3: baseline = 'shufled' is no arm"),
        ('["full", "no-kl"]', '["full", "no_kl"]', "E102", "Did you mean 'no-kl'?"),
        ('["full", "no-kl"]', '"full"', "E103", "contrast is a list of pairs"),
        ('["full", "no-kl"]', '["full", "full"]', "E103", "'full' against itself"),
        ("seeds = [0, 1, 2]", "seeds = [0, 0]", "E103", "line 5: seeds = [0, 0]"),
        ("seeds = [0, 1, 2]", "seeds = 3", "E103", "line 5: seeds = 3 is not a list"),
        ("seeds = [0, 1, 2]\n", "", "E103", "the study has no seeds"),
        ('name = "small"', 'name = "so small"', "E103", "line 1: name = 'so small'"),
        ('reward.control = "shuffled"', 'evals.every = 1', "E105", "line 21: evals.every cannot differ between arms"),
        ('reward.control = "shuffled"', 'seed = 1', "E105", "seed cannot differ between arms"),
        ('name = "no-kl"', 'name = "no-kl"\nexamples = 2', "E103", "there are 0 [[example]]s"),
        ("[[arm]]", "[[arm]", "E106", "is not valid TOML"),
        ("[base.optim]", "seed = 7\n[base.optim]", "E105", "s.toml line 10: seed in [base] would do nothing"),
        ("[base.optim]", '[base.save]\nruns = "x"\n[base.optim]', "E105", "line 11: save.runs in [base] would do"),
        ("[base.optim]", 'save.name = "x"\n[base.optim]', "E105", "line 10: save.name in [base] would do nothing"),
        ("seeds =", "examples = 2\nseeds =", "E103", "s.toml line 5: examples = 2, but there are 0 [[example]]s"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, before: str, after: str, code: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, GOOD.replace(before, after, 1))
    assert caught.value.code == code
    assert said in caught.value.message


def test_what_the_study_decides_is_asked_for_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, GOOD.replace("reward.control = ", "seed = 1\nreward.control = "))
    assert caught.value.tries == ("seeds = [0, 1, 2]   (above [base])",)
    kept = plan(tmp_path, GOOD.replace("[base.optim]", "save.keep = 1\n[base.optim]"))
    assert kept.arms["full"].save.keep == 1
    (tmp_path / "r.toml").write_text("seed = 5\noptim.lr = 1e-4\n", encoding="utf-8")
    below = plan(tmp_path, GOOD.replace("[base]", f'[base]\nrecipe = "{tmp_path / "r.toml"}"'))
    assert (below.arms["full"].seed, below.arms["full"].optim.lr) == (0, 1e-4)
    (told,) = passed_over(below.study)
    assert told.endswith("r.toml line 1: seed = 5 is passed over: a study gives every cell its own")
    assert passed_over(kept.study) == []


def test_a_study_needs_an_arm_and_a_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the study has no arm"):
        plan(tmp_path, GOOD.partition("[[arm]]")[0])
    with pytest.raises(UsageError, match="Did you mean the study 'paper/studies/temperature-cpu'"):
        find_study("paper/studies/temperatur-cpu")


def test_a_recipe_below_is_overridden_and_examples_become_a_file(tmp_path: Path) -> None:
    head, _, arms = GOOD.partition("[base]")
    example = '[[example]]\nprompt = "What is 2 + 3?"\nanswer = "5"\n[[example]]\nprompt = "1 + 1?"\nanswer = "2"\n'
    base = 'test_per_kind = 1\n[base]\nrecipe = "demo"\n'
    text = (
        head + base + arms[arms.index("[[arm]]") :].replace('name = "no-kl"', 'name = "no-kl"\nexamples = 2') + example
    )
    made = plan(tmp_path, text)
    assert find_recipe("demo")
    assert made.arms["full"].optim.steps == 16
    assert made.arms["full"].data.source == str(made.folder / "examples-1.jsonl")
    assert made.arms["no-kl"].data.source == str(made.folder / "examples-2.jsonl")
    assert made.arms["full"].evals.source == str(made.folder / "problems.jsonl")
    assert {name: data.count(b"\n") for name, data in contents(made).items()} == {
        "examples-1.jsonl": 1, "examples-2.jsonl": 2, "problems.jsonl": 8,
    }  # fmt: skip
    assert resolved(made.arms["full"])["data"]["source"] == "examples-1.jsonl"
    with pytest.raises(UsageError, match=r"data\.example stands beside the study's own") as caught:
        plan(tmp_path, text.replace('recipe = "demo"', 'recipe = "demo"\ndata.example = "3 + 3?"'))
    assert caught.value.code == "E105"


def arms(tmp_path: Path, one: str, two: str) -> Plan:
    text = GOOD.replace('"algorithm.kl" = 0.0', two)
    return plan(tmp_path, text.replace('paper = "70.8 (Table 5)"', f"set = {{ {one} }}"))


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ("", '"algorithm.kl" = 0.001', "their settings are equal"),
        ("", '"optim.micro_tokens" = 77', "their settings are equal"),
        ("", '"algorithm.name" = "dapo"', "the ratio of the policies is 1"),
        ("", '"algorithm.clip_low" = 0.1', "the ratio of the policies is 1"),
        ('"algorithm.name" = "cispo"', '"algorithm.name" = "dapo"', "the ratio of the policies is 1"),
        ('"algorithm.weighting" = "sequence_mean"', '"algorithm.name" = "gspo"', "the ratio of the policies is 1"),
        ('"algorithm.kl" = 0.0', '"algorithm.kl" = 0.0, "algorithm.kl_kind" = "k2"', "the ratio of the policies is 1"),
        ('"algorithm.policy" = 0.0', '"algorithm.policy" = 0.0, "data.answer" = "7"', "their settings are equal"),
        ('"algorithm.policy" = 0.0', '"algorithm.policy" = 0.0, "algorithm.name" = "rloo"', "neither rewards nor"),
    ],
)
def test_arms_with_one_loss_are_refused(tmp_path: Path, one: str, two: str, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_different(arms(tmp_path, one, two))
    assert caught.value.code == "E105"
    assert "the arms 'full' and 'no-kl' are provably the same training" in caught.value.message
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("", '"algorithm.kl" = 0.0'),
        ("", '"algorithm.name" = "gspo"'),
        ("", '"algorithm.name" = "dr_grpo"'),
        ('"algorithm.minibatches" = 2', '"algorithm.name" = "dapo", "algorithm.minibatches" = 2'),
        ('"reward.control" = "unguessable"', '"reward.control" = "noop"'),
        ("", '"data.answer" = "7"'),
        ('"rollout.dynamic" = true, "algorithm.policy" = 0.0', '"algorithm.policy" = 0.0'),
        ("", '"data.corrupt" = 1.0'),
    ],
)
def test_arms_that_may_differ_are_not(tmp_path: Path, one: str, two: str) -> None:
    check_different(arms(tmp_path, one, two))
