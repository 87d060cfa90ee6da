"""The fair baselines as they are asked and measured: the example in the prompt, the best prompt of the list."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.schema import EvalsConfig, ModelConfig, RolloutConfig
from oneshot.data.tasks.task import LOGLIKELIHOOD, Protocol
from oneshot.errors import UsageError
from oneshot.model.fingerprint import fingerprint
from oneshot.record import EvalFolder
from oneshot.stages.asked import Asked
from oneshot.stages.baselines import add_baselines, in_context
from oneshot.stages.eval_sampling import measure_task
from oneshot.stages.setup import Setup
from oneshot.types import Problem
from tests.tiny import save_tiny
from tests.unit.stages.prompting import EXAMPLE, OTHER, QUESTIONS, asked_of, response, run_of, setup_of, speaking

DEV = [Problem(id=f"d{i}", prompt=f"What is {i} + 20?", answer=str(i + 20)) for i in range(8)]


def quiet(text: str) -> None:
    pass


def prompts(setup: Setup, asked: Asked) -> list[str]:
    assert asked.render is not None
    return [setup.policy.tokenizer.decode(list(asked.render(problem))) for problem in asked.problems]


def kept(folder: Path) -> EvalFolder:
    return EvalFolder.open(folder / "results", {"model": "tiny"})


def dev_file(folder: Path, problems: list[Problem] = DEV) -> EvalsConfig:
    path = folder / "dev.jsonl"
    path.write_text("".join(json.dumps({"id": p.id, "prompt": p.prompt, "answer": p.answer}) + "\n" for p in problems))
    return EvalsConfig(source=str(path))


def never(prompt: str, sample: int) -> str:
    raise AssertionError("nothing should be sampled")


def test_the_example_stands_before_the_question_as_the_template_has_it(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model"), never)
    run = run_of(tmp_path, setup, [response("7."), response("It is \\boxed{7}."), response("3 + 4 makes \\boxed{7}")])
    asked, said = asked_of(), list[str]()
    (made,) = add_baselines(setup, asked, icl=run, best_prompt=False, say=said.append, store=kept(tmp_path))
    assert prompts(setup, made) == [
        "<|user|>What is 3 + 4? Box it.<|end|><|assistant|>It is \\boxed{7}.<|end|>"
        f"<|user|>What is {i} + 1? Now.<|end|><|assistant|>"
        for i in range(3)
    ]
    assert (made.name, made.under("base"), made.protocol) == ("sums", "base+icl", asked.protocol)
    assert made.data["in_context"] == {
        "run": run.path.name,
        "examples": [
            {
                "id": "pi", "answer": "7", "solution": "It is \\boxed{7}.", "tokens": 16, "right": 3, "responses": 3,
                "source": "first step",
            }
        ],
        "left_out": [],
    }  # fmt: skip
    assert said == [
        "in-context example pi: the base model's own solution of median length, 16 tokens, of 3 right ones in 3 "
        "responses (first step)"
    ]


def test_the_tasks_own_system_text_comes_first(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    run = run_of(tmp_path, setup, [response("7.")])
    asked = asked_of(protocol=Protocol(max_new_tokens=16, system="Be brief."))
    assert prompts(setup, in_context(setup, asked, run, say=quiet))[0] == (
        "<|system|>Be brief.<|end|><|user|>What is 3 + 4? Box it.<|end|><|assistant|>7.<|end|>"
        "<|user|>What is 0 + 1?<|end|><|assistant|>"
    )


def test_without_a_chat_template_it_is_a_text(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    setup.policy.tokenizer.chat_template = None
    run = run_of(tmp_path, setup, [response(" It is \\boxed{7}.\n")])
    made = in_context(setup, asked_of(), run, say=quiet)
    assert prompts(setup, made)[2] == (
        "Problem:\nWhat is 3 + 4? Box it.\n\nSolution: It is \\boxed{7}.\n\nProblem:\nWhat is 2 + 1? Now.\n\nSolution:"
    )
    assert made.verify("\\boxed{3}\n\nProblem:\n\\boxed{4}", "3").correct


def test_several_examples_stand_in_the_runs_order(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model"), lambda prompt, sample: "\\boxed{8}")
    run = run_of(tmp_path, setup, [response("7.")], examples=[EXAMPLE, OTHER])
    made = in_context(setup, asked_of(), run, say=quiet)
    assert prompts(setup, made)[0] == (
        "<|user|>What is 3 + 4? Box it.<|end|><|assistant|>7.<|end|>"
        "<|user|>What is 4 + 4? Box it.<|end|><|assistant|>\\boxed{8}<|end|>"
        "<|user|>What is 0 + 1? Now.<|end|><|assistant|>"
    )
    assert [row["source"] for row in made.data["in_context"]["examples"]] == ["first step", "sampled"]


def test_a_task_that_asks_the_example_is_said(tmp_path: Path) -> None:
    setup, said = setup_of(tmp_path / "model"), list[str]()
    run = run_of(tmp_path, setup, [response("7.")])
    in_context(setup, asked_of([*QUESTIONS, EXAMPLE]), run, say=said.append)
    assert said[-1].startswith("warning: sums asks 1 of the examples in the prompt")


def test_an_example_too_long_for_the_model_is_refused_with_the_numbers(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    run = run_of(tmp_path, setup, [response("7" * 460)])
    with pytest.raises(UsageError, match=r"with 1 worked example has 5[0-9][0-9] tokens; with 16 for") as caught:
        in_context(setup, asked_of(), run, say=quiet)
    assert caught.value.code == "E105"


def test_another_models_solution_is_refused(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model")
    save_tiny(tmp_path / "other", seed=1)
    other = setup_of(tmp_path / "other")
    run = run_of(tmp_path, setup, [response("7.")])
    with pytest.raises(UsageError, match="has other weights") as caught:
        in_context(other, asked_of(), run, say=quiet)
    assert caught.value.code == "E105"
    # The same weights under another name are the same model, once a run has recorded them.
    run.event("model", name="elsewhere", sha256=fingerprint(other.policy.model))
    assert in_context(other, asked_of(), run, say=quiet).variant == "icl"
    with pytest.raises(UsageError):  # and others under the same name are not
        in_context(setup, asked_of(), run, say=quiet)


def test_of_an_adapter_or_rounded_weights_the_name_decides(tmp_path: Path) -> None:
    """Their fingerprint is of other tensors than the plain model's."""
    setup = setup_of(tmp_path / "model")
    config = replace(setup.config, model=replace(setup.config.model, lora_rank=2))
    run = run_of(tmp_path, setup, [response("7.")], config=config)
    run.event("model", name=config.model.name, sha256="0" * 64)
    assert in_context(setup, asked_of(), run, say=quiet).variant == "icl"
    elsewhere = replace(setup, policy=replace(setup.policy, name="checkpoint-3"))
    with pytest.raises(UsageError, match="checkpoint-3 has other weights"):
        in_context(elsewhere, asked_of(), run, say=quiet)


def by_prompt(right: dict[str, int]) -> Any:
    """Right on as many development problems, the first ones, as each kind of prompt is given; run on behind a text."""

    def answer(prompt: str, sample: int) -> str:
        question = prompt.split("What is ")[-1]
        number, asked = (int(part) for part in question.split("?")[0].split(" + "))
        kind = (
            "boxed"
            if "reason step by step" in prompt
            else "training"
            if "Box it." in question
            else "chat"
            if "<|user|>" in prompt
            else "plain"
        )
        found = number + asked if number < right[kind] else 0
        behind = "\n\nProblem:\nWhat is 1 + 1?\n\\boxed{2}" if kind == "plain" else ""
        return f"\\boxed{{{found}}}{behind}"

    return answer


def chosen(tmp_path: Path, right: dict[str, int]) -> tuple[Setup, Asked, list[str], Any]:
    setup = setup_of(tmp_path / "model", evals=dev_file(tmp_path))
    setup, engine = speaking(setup, by_prompt(right))
    said = list[str]()
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=said.append, store=kept(tmp_path))
    return setup, made, said, engine


def test_the_best_prompt_is_chosen_on_the_development_set(tmp_path: Path) -> None:
    setup, made, said, engine = chosen(tmp_path, {"chat": 2, "plain": 7, "training": 5, "boxed": 3})
    assert made.under("base") == "base+prompt-plain"
    assert prompts(setup, made) == [f"What is {i} + 1?\n" for i in range(3)]
    record = made.data["prompt_choice"]
    assert record["chosen"] == "plain"
    assert [(row["name"], row.get("correct")) for row in record["prompts"]] == [
        ("chat", 2),
        ("plain", 7),
        ("training", 5),
        ("boxed", 3),
        ("four-shot", None),
    ]
    plain, long = record["prompts"][1], record["prompts"][4]
    assert (plain["n"], plain["value"]) == (8, 0.875)
    # Wilson for 7 of 8: centre (7 + z²/2)/(8 + z²) = .7530, half width .2242.
    assert (plain["ci_low"], plain["ci_high"]) == (pytest.approx(0.5291, abs=1e-4), pytest.approx(0.9776, abs=1e-4))
    assert "made for 512 positions" in long["left_out"]
    assert record["dev"]["origin"].endswith("dev.jsonl")
    assert (record["dev"]["n"], record["dev"]["shared"], record["dev"]["seed"]) == (8, 0, 0)
    assert (record["grader"], record["temperature"], record["max_new_tokens"]) == ("math-lenient", 0.0, 16)
    assert said[-1].endswith("chat 2, plain 7, training 5, boxed 3; 'plain' is the best")
    assert not any("+ 1?" in prompt for prompt in engine.heard)  # the task's own questions decide nothing


def test_ties_go_to_the_earlier_prompt(tmp_path: Path) -> None:
    _, made, _, _ = chosen(tmp_path, {"chat": 3, "plain": 5, "training": 5, "boxed": 5})
    assert made.data["prompt_choice"]["chosen"] == "plain"


def test_a_prompt_that_comes_out_the_same_is_asked_once(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model", evals=dev_file(tmp_path))
    bare = replace(setup.config, data=replace(setup.config.data, suffix=""))
    setup, engine = speaking(replace(setup, config=bare), by_prompt({"chat": 4, "plain": 1, "boxed": 2}))
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=quiet, store=kept(tmp_path))
    training = made.data["prompt_choice"]["prompts"][2]
    assert (training["same_as"], training["correct"]) == ("chat", 4)
    assert made.variant == "prompt-chat"
    assert len(engine.heard) == 3 * 8


def test_the_development_answers_are_kept_and_asked_once_for_all_tasks(tmp_path: Path) -> None:
    right = {"chat": 2, "plain": 7, "training": 5, "boxed": 3}
    setup, made, _, engine = chosen(tmp_path, right)
    store = kept(tmp_path)
    folder = made.data["prompt_choice"]["folder"]
    assert sorted(store.evals()) == [(folder, f"base+prompt-{name}") for name in ("boxed", "chat", "plain", "training")]
    assert folder.startswith("prompt-choice-")
    assert len(engine.heard) == 4 * 8
    setup, _ = speaking(setup, never)
    other = replace(asked_of([EXAMPLE]), name="another", protocol=Protocol(max_new_tokens=16, suffix="Then."))
    (again,) = add_baselines(setup, other, icl=None, best_prompt=True, say=quiet, store=store)
    assert again.data["prompt_choice"] == made.data["prompt_choice"]
    # Another response limit may have another best prompt.
    with pytest.raises(AssertionError):
        longer = replace(other, protocol=Protocol(max_new_tokens=17))
        add_baselines(setup, longer, icl=None, best_prompt=True, say=quiet, store=store)


def test_measured_it_stands_beside_base_with_what_was_chosen(tmp_path: Path) -> None:
    right = {"chat": 2, "plain": 7, "training": 5, "boxed": 3}
    setup, made, _, _ = chosen(tmp_path, right)
    asked, store = asked_of(), EvalFolder.open(tmp_path / "measured", {"model": "tiny"})
    for each in (asked, made):
        measure_task(setup, each, store, "base", say=quiet, progress=None)
    assert store.evals() == [("sums", "base"), ("sums", "base+prompt-plain")]
    results, rows = store.read_eval("sums", "base+prompt-plain")
    protocol = results["protocol"]
    assert protocol["data"]["prompt_choice"]["chosen"] == "plain"
    assert protocol["prompt"] == "What is 0 + 1?\n"
    # The first answer counts, not that of the problem the text runs on into.
    assert all(row.response.endswith("\\boxed{2}") for row in rows)
    assert [row.correct for row in rows] == [True, True, True]
    assert [row.extracted for row in rows] == ["1", "2", "3"]


def test_problems_of_the_task_are_no_development_problems(tmp_path: Path) -> None:
    """`--data FILE` names both; and a pool may hold a question of a benchmark."""
    spaced = [replace(DEV[0], prompt="What  is\n0 + 1?")]
    setup = setup_of(tmp_path / "model", evals=dev_file(tmp_path, [*DEV, *spaced]))
    setup, _ = speaking(setup, by_prompt({"chat": 1, "plain": 0, "training": 0, "boxed": 0}))
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=quiet, store=kept(tmp_path))
    assert made.data["prompt_choice"]["dev"]["shared"] == 1
    assert made.data["prompt_choice"]["dev"]["n"] == 8


def test_where_the_task_asks_all_of_them_the_next_set_decides(tmp_path: Path) -> None:
    """Here there is no pool, so it is the built-in one."""
    setup = setup_of(tmp_path / "model", evals=dev_file(tmp_path, list(QUESTIONS)))
    setup, _ = speaking(setup, lambda prompt, sample: "0")
    said = list[str]()
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=said.append, store=kept(tmp_path))
    assert "dsr_sub cannot be read" in said[0]
    dev = made.data["prompt_choice"]["dev"]
    assert (dev["origin"], dev["n"]) == ("builtin", 50)
    assert made.variant == "prompt-chat"  # none was right with any


def test_without_a_configured_set_and_without_the_pool_it_is_the_built_in_one(tmp_path: Path) -> None:
    setup, _ = speaking(setup_of(tmp_path / "model", evals=EvalsConfig()), lambda prompt, sample: "0")
    said = list[str]()
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=said.append, store=kept(tmp_path))
    assert made.data["prompt_choice"]["dev"]["origin"] == "builtin"
    assert said[0].startswith("the development set is the built-in one: dsr_sub cannot be read (")


def test_the_papers_pool_is_drawn_from_and_not_read_from_its_beginning(tmp_path: Path) -> None:
    pool = [{"id": str(i), "prompt": f"What is {i} + 20?", "answer": str(i + 20)} for i in range(300)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dsr_sub.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pool))
    setup = setup_of(tmp_path / "model", evals=EvalsConfig(data_dir=str(tmp_path / "data")))
    heard = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        made, engine = speaking(setup, lambda prompt, sample: "0")
        (asked,) = add_baselines(made, asked_of(), icl=None, best_prompt=True, say=quiet, store=kept(folder))
        heard.append(engine.heard)
    assert heard[0] == heard[1]
    assert asked.data["prompt_choice"]["dev"]["origin"].endswith("dsr_sub.jsonl")
    first = [int(prompt.split("What is ")[1].split(" +")[0]) for prompt in heard[0][:50]]
    assert first == sorted(set(first))
    assert max(first) > 200


def test_a_set_named_built_in_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model", evals=EvalsConfig(source="builtin"))
    setup, _ = speaking(setup, lambda prompt, sample: "0")
    said = list[str]()
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=said.append, store=kept(tmp_path))
    assert made.data["prompt_choice"]["dev"]["origin"] == "builtin"
    assert not any("dsr_sub" in text for text in said)


def test_a_users_grader_grades_the_users_development_set(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def score(response, reference):\n    return float('yes' in response)\n")
    evals = replace(dev_file(tmp_path), grader=f"{own}:score")
    setup, _ = speaking(setup_of(tmp_path / "model", evals=evals), lambda prompt, sample: "yes")
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=quiet, store=kept(tmp_path))
    record = made.data["prompt_choice"]
    assert record["grader"].endswith("own.py:score")
    assert record["prompts"][0]["correct"] == 8


def test_no_prompt_that_fits_is_an_error(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model", evals=dev_file(tmp_path))
    asked = asked_of(protocol=Protocol(max_new_tokens=511))
    with pytest.raises(UsageError, match="no prompt of the list can be used") as caught:
        add_baselines(setup, asked, icl=None, best_prompt=True, say=quiet, store=kept(tmp_path))
    assert caught.value.code == "E105"


def test_a_template_that_refuses_a_system_text_leaves_that_prompt_out(tmp_path: Path) -> None:
    setup = setup_of(tmp_path / "model", evals=dev_file(tmp_path))
    tokenizer = setup.policy.tokenizer
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer.chat_template = refusal + tokenizer.chat_template
    setup, _ = speaking(setup, by_prompt({"chat": 1, "plain": 0, "training": 0}))
    (made,) = add_baselines(setup, asked_of(), icl=None, best_prompt=True, say=quiet, store=kept(tmp_path))
    boxed = made.data["prompt_choice"]["prompts"][3]
    assert boxed["left_out"] == "the chat template refuses it (no system role)"


def test_likelihoods_have_no_prompt_baselines_and_nothing_asked_is_nothing_added(tmp_path: Path) -> None:
    setup, said = setup_of(tmp_path / "model"), list[str]()
    asked = asked_of(protocol=Protocol(kind=LOGLIKELIHOOD))
    assert add_baselines(setup, asked, icl=None, best_prompt=True, say=said.append, store=kept(tmp_path)) == []
    assert len(said) == 1
    assert add_baselines(setup, asked_of(), icl=None, best_prompt=False, say=said.append, store=kept(tmp_path)) == []
    assert len(said) == 1


def test_both_with_the_model_itself(tmp_path: Path) -> None:
    """No script: the sampler of the tiny model, from the choice to the results."""
    setup = setup_of(
        tmp_path / "model",
        evals=replace(dev_file(tmp_path), batch=16),
        rollout=RolloutConfig(groups=2, group_size=4, max_new_tokens=8),
        model=ModelConfig(name=str(tmp_path / "model"), threads=1),
    )
    run = run_of(tmp_path, setup, [response("It is \\boxed{7}.")])
    asked = asked_of(protocol=Protocol(max_new_tokens=8))
    made = add_baselines(setup, asked, icl=run, best_prompt=True, say=quiet, store=run)
    assert made[0].variant == "icl"
    for each in made:
        measure_task(setup, each, run, "base", say=quiet, progress=None)
    assert ("sums", "base+icl") in run.evals()
    assert ("sums", f"base+{made[1].variant}") in run.evals()
