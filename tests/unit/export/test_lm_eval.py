"""The files of lm-evaluation-harness, key by key."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oneshot._store import files
from oneshot.data.tasks.task import Protocol
from oneshot.export.results import export
from oneshot.types import EvalRow
from tests.unit.export.evaluations import DATE, GSM8K, TWICE, choice, record, record_stored, row, task


def exported(folder: Path, **tasks: Any) -> tuple[dict[str, Any], list[list[dict[str, Any]]]]:
    from oneshot.record import EvalFolder

    made = export(["lm-eval"], EvalFolder(folder), tasks, folder / "out", date=DATE)
    return json.loads(made[0].read_text()), [files.read_lines(path) for path in made[1:]]


def test_metrics_are_means_over_problems_with_their_standard_errors(tmp_path: Path) -> None:
    store = record(tmp_path)
    body, _ = exported(tmp_path, sums=task(hub=GSM8K))
    error = (0.25 / 3) ** 0.5
    assert body["results"]["sums"] == {
        "alias": "sums",
        "sample_len": 3,
        "exact_match,none": 0.5,
        "exact_match_stderr,none": pytest.approx(error),
        "exact_match,strict": 0.5,
        "exact_match_stderr,strict": pytest.approx(error),
        "exact_match,lenient": 1.0,
        "exact_match_stderr,lenient": 0.0,
    }
    assert body["results"]["sums"]["exact_match,none"] == store.read_eval("sums", "base")[0]["value"]


def test_what_the_file_says_of_model_and_task(tmp_path: Path) -> None:
    record(tmp_path, data={"origin": "sums.jsonl", "rows": 12, "digest": "d" * 64, "limit": 3, "notes": []})
    body, _ = exported(tmp_path, sums=task(hub=GSM8K))
    assert body["n-samples"] == {"sums": {"original": 12, "effective": 3}}
    assert (body["n-shot"], body["versions"]) == ({"sums": 0}, {"sums": "abcdef012345"})
    assert body["higher_is_better"] == {"sums": {"exact_match": True}}
    config = body["configs"]["sums"]
    assert (config["dataset_path"], config["dataset_name"], config["test_split"]) == ("openai/gsm8k", "main", "test")
    assert (config["output_type"], config["repeats"]) == ("generate_until", 1)
    assert config["generation_kwargs"] == {"until": [], "max_gen_toks": 64, "do_sample": True, "temperature": 0.6}
    assert config["metadata"]["protocol"]["suffix"] == "Think."
    assert body["config"]["model_args"] == "pretrained=org/tiny,weights=0123456789abcdef,dtype=float32"
    assert body["config"]["limit"] == 3
    assert body["date"] == DATE.timestamp()
    assert (body["model_source"], body["transformers_version"]) == ("oneshot-rlvr", "5.23.0")
    assert body["total_evaluation_time_seconds"] == "12.5"
    assert "not those of the harness" in body["oneshot_note"]


def test_a_sample_has_the_responses_of_its_problem(tmp_path: Path) -> None:
    record(tmp_path)
    _, (samples,) = exported(tmp_path, sums=task())
    assert [sample["doc_id"] for sample in samples] == [0, 1, 2]
    assert [sample["exact_match"] for sample in samples] == [1.0, 0.5, 0.0]
    second = samples[1]
    assert (second["doc"]["id"], second["target"], second["filter"]) == ("p/2", "7", "none")
    assert second["resps"] == [["It is \\boxed{7}.", "It is 8."]]
    assert second["filtered_resps"] == [["7", None]]
    assert second["arguments"]["gen_args_0"]["arg_0"] == "What is p/2?"
    assert second["metrics"] == ["exact_match"]
    told = second["oneshot"]
    assert (told["correct"], told["strict"], told["lenient"]) == ([True, False], [True, False], [True, True])
    assert (told["status"], told["cut"]) == (["ok", "no_answer"], [False, True])
    for key in ("doc_hash", "prompt_hash", "target_hash"):
        assert len(second[key]) == 64
    assert second["target_hash"] == samples[0]["target_hash"]
    assert second["prompt_hash"] != samples[0]["prompt_hash"]


def test_the_task_hash_follows_problems_and_not_responses(tmp_path: Path) -> None:
    def hash_of(name: str, rows: list[EvalRow]) -> str:
        record(tmp_path / name, rows)
        return str(exported(tmp_path / name, sums=task())[0]["task_hashes"]["sums"])

    other = [replace(each, response="else") for each in TWICE]
    assert hash_of("a", list(TWICE)) == hash_of("b", other)
    assert hash_of("c", [replace(each, answer="9") for each in TWICE]) != hash_of("d", other)


def test_likelihoods_are_acc_and_acc_norm(tmp_path: Path) -> None:
    rows = [choice("q1", (-1.5, -3.0), True, True), choice("q2", (-4.0, -2.0), False, True)]
    protocol = {**Protocol(kind="loglikelihood").as_dict(), "grader": ""}
    record(tmp_path, rows, name="arc", **protocol)
    body, (samples,) = exported(tmp_path, arc=task("arc"))
    told = body["results"]["arc"]
    assert (told["acc,none"], told["acc_norm,none"]) == (0.5, 1.0)
    assert (told["acc_stderr,none"], told["acc_norm_stderr,none"]) == (pytest.approx(0.5), 0.0)
    assert body["higher_is_better"] == {"arc": {"acc": True, "acc_norm": True}}
    assert body["configs"]["arc"]["output_type"] == "multiple_choice"
    assert "generation_kwargs" not in body["configs"]["arc"]
    assert samples[1]["arguments"] == {
        "gen_args_0": {"arg_0": "What is q2?", "arg_1": "red"},
        "gen_args_1": {"arg_0": "What is q2?", "arg_1": "blue"},
    }
    assert [pair[0] for pair in samples[1]["filtered_resps"]] == ["-4.0", "-2.0"]
    assert (samples[1]["acc"], samples[1]["acc_norm"]) == (0.0, 1.0)


def test_stored_responses_say_no_more_than_is_known(tmp_path: Path) -> None:
    record_stored(tmp_path)
    body, (samples,) = exported(tmp_path, sums=task())
    assert (body["model_name"], body["config"]["model_args"]) == (
        "responses-feedbeef",
        "pretrained=responses-feedbeef",
    )
    assert body["configs"]["sums"]["generation_kwargs"] == {}
    assert samples[0]["oneshot"]["tokens"] == samples[0]["oneshot"]["cut"] == [None, None]
    assert samples[0]["exact_match"] == 1.0


def test_one_problem_has_no_standard_error(tmp_path: Path) -> None:
    record(tmp_path, [row("p", True)])
    assert exported(tmp_path, sums=task())[0]["results"]["sums"]["exact_match_stderr,none"] == "N/A"


def test_another_prompt_says_nothing_about_shots(tmp_path: Path) -> None:
    record(tmp_path, checkpoint="base+icl")
    body, _ = exported(tmp_path, sums=task())
    assert (body["n-shot"], body["model_name"]) == ({}, "org/tiny@base+icl")


def test_tasks_of_one_checkpoint_share_a_results_file(tmp_path: Path) -> None:
    record(tmp_path)
    record(tmp_path, [row("a", True), row("b", True)], name="more-0123abcd")
    body, samples = exported(tmp_path, **{"sums": task(), "more-0123abcd": task("more")})
    assert {name: told["exact_match,none"] for name, told in body["results"].items()} == {
        "sums": 0.5,
        "more-0123abcd": 1.0,
    }
    assert len(samples) == 2
    assert body["total_evaluation_time_seconds"] == "25.0"
