"""Names are resolved before anything is loaded; prompts and held-out problems are what the settings say."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from oneshot.algos import credit, penalty, weighting
from oneshot.algos.pairs import paired
from oneshot.config.load import load
from oneshot.config.schema import Config
from oneshot.data.tasks import builtin
from oneshot.errors import DataError, OneshotError
from oneshot.model import memory
from oneshot.model import policy as policies
from oneshot.stages.setup import annotate, check_answers, held_out, load_setup, resolve_names
from oneshot.types import Problem, Verdict
from tests.tiny import save_tiny


def config(**settings: str) -> Config:
    return load([], {}, {name.replace("__", "."): value for name, value in settings.items()}).config


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    ("settings", "code", "told"),
    [
        ({"algorithm__name": "gpro"}, "E102", "Did you mean 'grpo'?"),
        ({"algorithm__clip_lo": "0.1"}, "E101", "Did you mean 'clip_low'?"),
        ({"algorithm__clip_low": "wide"}, "E103", "'wide' is not a float"),
        ({"algorithm__clip_low": "-0.1"}, "E103", "clip_low = -0.1 must be at least 0"),
        ({"algorithm__name": "reinforce_pp", "algorithm__baseline": "x"}, "E103", "'x' is neither none nor group"),
        ({"reward__name": "maths"}, "E102", "Did you mean 'math'?"),
        ({"reward__name": "boxed"}, "E102", "the grader 'boxed' is called 'math' now"),
        ({"evals__grader": "final-number"}, "E102", "the grader 'final-number' is called 'number' now"),
        ({"evals__grader": "box"}, "E102", "unknown grader 'box'"),
    ],
)
def test_a_wrong_name_is_told_before_anything_is_loaded(settings: dict[str, str], code: str, told: str) -> None:
    with pytest.raises(OneshotError) as caught:
        resolve_names(config(**settings))
    assert (caught.value.code, caught.value.exit_code) == (code, 2)
    assert told in caught.value.message


def test_shared_keys_reach_the_algorithm() -> None:
    algorithm = resolve_names(config(algorithm__kl="0.5", algorithm__entropy="0.25", algorithm__updates="3")).algorithm
    assert (algorithm.kl, algorithm.entropy, algorithm.updates, algorithm.policy) == (0.5, 0.25, 3, 1.0)
    plain = resolve_names(config()).algorithm
    assert (plain.importance_cap, plain.entropy_of, plain.credit) == (0.0, None, credit.z_scored)
    assert plain.needs == {"reference"}  # the default has a KL term
    capped = resolve_names(config(algorithm__importance_cap="2", algorithm__weighting="per_row")).algorithm
    assert (capped.importance_cap, capped.weighting) == (2.0, weighting.per_row)


def test_kl_in_the_reward_and_pooled_groups_change_the_credit() -> None:
    found = resolve_names(config(algorithm__kl="0", algorithm__kl_in_reward="0.01", algorithm__pooled="true")).algorithm
    assert found.credit == credit.less_kl(credit.pooled(credit.z_scored), 0.01)
    assert found.needs == {"reference"}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, penalty.k3),
        ({"algorithm__name": "reinforce_pp"}, penalty.k3),
        ({"algorithm__name": "reinforce_pp", "algorithm__baseline": "group"}, penalty.k2),
        ({"algorithm__name": "reinforce_pp", "algorithm__baseline": "group", "algorithm__kl_kind": "k3"}, penalty.k3),
        ({"algorithm__kl_kind": "rho_k3"}, penalty.rho_k3),
    ],
)
def test_the_kl_estimator_is_the_algorithms_own_unless_named(settings: dict[str, str], kind: penalty.KL) -> None:
    assert resolve_names(config(**settings)).algorithm.kl_of is kind


def test_the_entropy_schedule_runs_over_the_steps() -> None:
    settings = {"algorithm__entropy": "0.1", "algorithm__entropy_final": "0.02", "optim__steps": "5"}
    linear = resolve_names(config(**settings, algorithm__entropy_schedule="linear")).algorithm
    assert [linear.at(step).entropy for step in (0, 2, 4, 9)] == pytest.approx([0.1, 0.06, 0.02, 0.02])
    assert resolve_names(config(**settings)).algorithm.at(4).entropy == 0.1


def test_the_weights_of_a_pair_stand_outermost() -> None:
    pairing = {"data__curriculum": "pairing"}
    plain = resolve_names(config(**pairing)).algorithm
    assert plain.credit is credit.z_scored
    wanted = config(**pairing, algorithm__pooled="true", algorithm__kl_in_reward="0.1")
    inner = resolve_names(wanted).algorithm.credit
    wanted = replace(wanted, data=replace(wanted.data, curriculum_options={"success": 2.0, "failure": 0.5}))
    assert resolve_names(wanted).algorithm.credit == paired(inner, 2.0, 0.5)
    assert resolve_names(wanted).curriculum.weights == (2.0, 0.5)


def test_the_grader_of_the_evaluations_is_the_rewards_unless_named() -> None:
    assert resolve_names(config(reward__name="exact")).eval_verify.name == "exact"
    names = resolve_names(config(reward__name="exact", evals__grader="math"))
    assert (names.verify.name, names.eval_verify.name, names.strict.name) == ("exact", "math", "math")


def test_a_reference_that_cannot_be_matched_names_its_line() -> None:
    names = resolve_names(Config())
    good = Problem(id="a", prompt="?", answer="7", meta={"source": "f.jsonl", "line": 1})
    bad = Problem(id="b", prompt="?", answer="nan", meta={"source": "f.jsonl", "line": 2})
    check_answers(names, [good])
    with pytest.raises(DataError, match=r"^f\.jsonl, line 2: the grader 'math' does not accept .*'nan'") as caught:
        check_answers(names, [good, bad])
    assert (caught.value.code, caught.value.exit_code) == ("E302", 4)
    with pytest.raises(DataError, match=r"^the grader"):  # a single example needs no line
        check_answers(names, [bad])


def test_suffixes_in_training_and_in_evaluation(tiny: Path, tmp_path: Path) -> None:
    wanted = config(model__name=str(tiny), data__suffix="Box it.", data__system="Be brief.", evals__suffix="A number.")
    setup = load_setup(wanted, resolve_names(wanted), offline=True)
    decode = setup.policy.tokenizer.decode
    plain, told = (Problem(id="a", prompt=text, answer="2") for text in ("What is 1 + 1?", "What is 1 + 1? Box it."))
    expected = "<|system|>Be brief.<|end|><|user|>What is 1 + 1? Box it.<|end|><|assistant|>"
    assert decode(setup.render(plain)) == expected
    assert decode(setup.render(told)) == expected  # the row carries it: not twice
    assert "1 + 1? A number.<|end|>" in decode(setup.render_eval(plain))
    bare = config(model__name=str(tiny), data__suffix="Box it.")
    setup = load_setup(bare, resolve_names(bare), offline=True)
    assert decode(setup.render_eval(plain)) == "<|user|>What is 1 + 1?<|end|><|assistant|>"


def test_rows_at_once_are_those_of_training_and_of_evaluation(tiny: Path) -> None:
    wanted = config(model__name=str(tiny), rollout__batch="32", evals__batch="48")
    setup = load_setup(wanted, resolve_names(wanted), offline=True)
    assert (setup.engine.batch, setup.eval_engine.batch) == (32, 48)
    assert setup.engine.policy is setup.eval_engine.policy  # one copy of the weights


def test_memory_is_checked_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be fetched")

    monkeypatch.setattr(policies, "load", fetched)
    monkeypatch.setattr(memory, "available_memory", lambda: 8 * 2**30)
    wanted = config(model__name="Qwen/Qwen2.5-Math-1.5B")
    with pytest.raises(OneshotError, match=r"needs about [\d.]+ GiB to train in float32; 8\.0 GiB are free") as caught:
        load_setup(wanted, resolve_names(wanted), offline=False)
    assert (caught.value.code, caught.value.exit_code, caught.value.kept) == ("E201", 3, "Nothing was downloaded.")
    with pytest.raises(OneshotError, match="to be run in float32"):
        load_setup(config(model__name="Qwen/Qwen2.5-Math-1.5B", evals__batch="4096"), resolve_names(wanted),
                   offline=False, training=False)  # fmt: skip


def test_held_out_problems(tmp_path: Path) -> None:
    assert held_out(Config(), "mul_word", offline=True) == []
    task = config(evals__source="builtin", data__task_seed="5")
    assert held_out(task, "mul_word", offline=True) == builtin.dev_set(5, "mul_word")
    file = tmp_path / "pool.jsonl"
    file.write_text("".join(json.dumps({"prompt": f"q{i}", "answer": str(i)}) + "\n" for i in range(5)), "utf-8")
    limited = config(evals__source=str(file), evals__limit="3")
    assert [p.prompt for p in held_out(limited, "", offline=True)] == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    ("extracted", "named"), [("8", "right"), ("16", "a+b"), ("1/3", "a/b"), ("ten", "other"), (None, "none")]
)
def test_answers_of_the_built_in_task_are_classed(extracted: str | None, named: str) -> None:
    problem = Problem(id="a", prompt="?", answer="8", meta={"kind": "sub_word", "operands": [12, 4]})
    verdict = Verdict(correct=False, extracted=extracted, method="number")
    assert annotate(problem, verdict) == {"answer_class": named}
    assert annotate(Problem(id="a", prompt="?", answer="8"), verdict) == {}
    assert builtin.answer_class(problem.meta, Fraction(8)) == "right"
