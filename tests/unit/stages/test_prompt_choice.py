"""The best of a fixed list of prompts, chosen on a development set."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.schema import EvalsConfig
from oneshot.data.tasks.task import LOGLIKELIHOOD, Protocol
from oneshot.errors import UsageError
from oneshot.record import EvalFolder
from oneshot.stages.evals.asked import Asked
from oneshot.stages.evals.baselines import add_baselines
from oneshot.stages.evals.sampling import measure_task
from oneshot.stages.setup import Setup
from tests.unit.stages.prompting import (
    DEV,
    EXAMPLE,
    QUESTIONS,
    asked_of,
    dev_file,
    kept,
    never,
    prompts,
    quiet,
    setup_of,
    speaking,
)


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
