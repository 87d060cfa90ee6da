"""`.eval_results/*.yaml`, read back by huggingface_hub itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import EvalResultEntry
from huggingface_hub._eval_results import eval_result_entries_to_yaml, parse_eval_result_entries

from oneshot.data.rows import RawRow
from oneshot.data.tasks import loading
from oneshot.data.tasks.suites import TASKS
from oneshot.data.tasks.task import Protocol
from oneshot.export.hub_results import notes
from oneshot.export.recorded import Recorded
from oneshot.export.results import export
from oneshot.record import EvalFolder
from tests.unit.export.evaluations import DATE, GSM8K, choice, record, record_stored, row, task


def exported(folder: Path, **tasks: Any) -> tuple[list[EvalResultEntry], list[str]]:
    said: list[str] = []
    made = export(["hub"], EvalFolder(folder), tasks, folder / "out", date=DATE, say=said.append)
    entries: list[EvalResultEntry] = []
    for path in made:
        assert path.parent.name == ".eval_results"
        data = yaml.safe_load(path.read_bytes())
        found = parse_eval_result_entries(data)
        assert eval_result_entries_to_yaml(found) == data  # nothing of it is lost: the library knows every key
        entries += found
    return entries, said


def test_an_entry_by_hand(tmp_path: Path) -> None:
    record(tmp_path)
    (found,), said = exported(tmp_path, sums=task(hub=GSM8K))
    assert (found.dataset_id, found.task_id, found.value) == ("openai/gsm8k", "gsm8k", 50.0)
    assert found.date == "2026-11-21T17:50:07Z"
    assert found.dataset_revision is None  # the rows came from a file
    assert (found.verify_token, found.source_url, said) == (None, None, [])
    results = EvalFolder(tmp_path).read_eval("sums", "base")[0]
    low, high = 100 * results["ci_low"], 100 * results["ci_high"]
    assert found.notes == (
        f"accuracy in percent over 3 problems, 95% interval {low:.2f} to {high:.2f} ({results['method']}), "
        "temperature 0.6, at most 64 new tokens, suffix 'Think.', grader math-lenient abcdef012345, "
        "rows sha256 dddddddddddddddd, oneshot-rlvr 0.6.0"
    )


def test_the_revision_is_told_where_the_rows_came_from_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [RawRow(1, {"question": "1 + 1?", "answer": "so #### 2"})]
    monkeypatch.setattr(loading, "hub_rows", lambda name, **more: rows)
    monkeypatch.delenv("ONESHOT_DATA", raising=False)
    origin = loading.load_task(replace(TASKS.build("gsm8k"), hub=GSM8K)).origin
    assert origin == "openai/gsm8k/main:test@c0ffee"
    data = {"origin": origin, "rows": 3, "digest": "d" * 64, "limit": 0, "notes": []}
    record(tmp_path, [row("p", True), row("p", False, 1)], data=data, temperature=0.0, suffix="")
    (found,), _ = exported(tmp_path, sums=task(hub=GSM8K))
    assert found.dataset_revision == "c0ffee"
    assert found.notes is not None
    assert found.notes.startswith("avg@2 in percent over 1 problems")
    assert "greedy, at most 64 new tokens, no suffix" in found.notes


def test_a_data_set_that_was_not_seen_to_be_registered_is_told(tmp_path: Path) -> None:
    record(tmp_path)
    (found,), said = exported(tmp_path, sums=task(hub=replace(GSM8K, name="org/sums", config="")))
    assert (found.dataset_id, found.task_id) == ("org/sums", "default")
    assert len(said) == 1
    assert "org/sums was not seen to be a registered benchmark" in said[0]


def test_likelihoods_are_told_as_such(tmp_path: Path) -> None:
    rows = [choice("q1", (-1.5, -3.0), True, True), choice("q2", (-4.0, -2.0), False, True)]
    record(tmp_path, rows, name="arc", **{**Protocol(kind="loglikelihood").as_dict(), "grader": ""})
    (found,), _ = exported(tmp_path, arc=task("arc", hub=GSM8K))
    assert found.notes is not None
    assert found.notes.startswith("acc by log-likelihood in percent over 2 problems")
    assert "new tokens" not in found.notes


def test_stored_responses_say_no_more_than_is_known(tmp_path: Path) -> None:
    results, rows = record_stored(tmp_path).read_eval("sums", "base")
    entries, (said,) = exported(tmp_path, sums=task(hub=GSM8K))
    assert not entries
    assert "2 problems have no response" in said
    whole = {**results, "missing": 0}
    told = notes(Recorded(name="sums", checkpoint="base", results=whole, rows=tuple(rows), task=task(hub=GSM8K)))
    assert "greedy" not in told
    assert "tokens" not in told
    assert "grader math-lenient" in told


@pytest.mark.parametrize(
    ("changes", "hub", "why"),
    [
        ({}, None, "no data set of the Hub"),
        ({"data": {"origin": "x", "rows": 9, "digest": "", "limit": 3, "notes": []}}, GSM8K, "the first 3 problems"),
        ({"checkpoint": "base+icl"}, GSM8K, r"prompt \(icl\)"),
    ],
)
def test_what_is_no_benchmark_result_is_left_out_and_told(
    changes: dict[str, Any], hub: Any, why: str, tmp_path: Path
) -> None:
    record(tmp_path, **changes)
    entries, (said,) = exported(tmp_path, sums=task(hub=hub))
    assert not entries
    assert said.startswith(f"hub: sums, {changes.get('checkpoint', 'base')} is left out: ")
    assert re.search(why, said)


def test_a_part_of_a_benchmark_or_other_rows_are_no_result_of_it(tmp_path: Path) -> None:
    record(tmp_path)  # 3 rows, digest dddd...
    for known, why in (
        ({"count": 1319}, "it has 3 rows, and the benchmark has 1,319"),
        ({"count": 3, "digest": "e" * 64}, "its rows (sha256 dddddddddddd) are not those known of the benchmark (eeee"),
    ):
        entries, (said,) = exported(tmp_path, sums=task(hub=GSM8K, **known))
        assert not entries
        assert why in said
    assert len(exported(tmp_path, sums=task(hub=GSM8K, count=3, digest="d" * 64))[0]) == 1
