"""`oneshot fetch` of tasks: into a folder or the cache, found there under `--offline`; one failure stops no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneshot.cli.main import main
from oneshot.data.tasks.loading import load_task
from oneshot.data.tasks.suites import resolve
from tests.unit.stages.hub_stand_in import PROBLEMS, Rows, alone, fetched, rows


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone(tmp_path, monkeypatch)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    return rows(monkeypatch, tmp_path / "datasets", **{"HuggingFaceH4/MATH-500": PROBLEMS})


def test_a_task_into_a_folder_and_found_there_offline(
    data: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made,) = fetched(capsys, "math500", "--data-dir", "data")
    file = tmp_path / "data" / "math500.jsonl"
    assert (made["state"], made["where"], made["rows"]) == ("fetched", str(Path("data/math500.jsonl")), 1)
    assert made["bytes"] == file.stat().st_size
    assert "from HuggingFaceH4/MATH-500:test@6e4ed1a2a79a" in made["notes"]
    assert any("500 rows are known" in note for note in made["notes"])
    data.online = False
    found = load_task(resolve("math500")[0], folder="data", offline=True)
    assert [(p.id, p.prompt, p.answer, p.meta["level"]) for p in found.problems] == [("a/1", "1+1?", "2", 2)]
    (again,) = fetched(capsys, "math500", "--data-dir", "data")
    assert again["state"] == "there"
    assert len(data.asked) == 1


def test_a_task_into_the_cache_and_found_there_offline(data: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    (made,) = fetched(capsys, "math500")
    assert (made["state"], made["where"], made["bytes"], made["rows"]) == ("fetched", str(data.cache), 100, 1)
    data.online = False
    assert load_task(resolve("math500")[0], offline=True).rows == 1
    assert [made["state"] for made in fetched(capsys, "math500")] == ["there"]


def test_rows_with_what_json_has_no_word_for(data: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.sets["HuggingFaceH4/MATH-500"] = [{**PROBLEMS[0], "picture": b"x", "nested": {"when": b"y"}}]
    (made,) = fetched(capsys, "math500", "--data-dir", "data")
    assert made["state"] == "fetched"
    row = json.loads((tmp_path / "data" / "math500.jsonl").read_text("utf-8"))
    assert (row["picture"], row["answer"], row["subject"]) == ("b'x'", "2", "é")


def test_what_fails_fails_alone(data: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data.sets["openai/gsm8k"] = ConnectionError("no route")
    assert main(["fetch", "gsm8k,math500", "builtin", "math_beyond", "--data-dir", "data"]) == 3
    told = capsys.readouterr()
    assert [line.partition(":")[0] for line in told.out.splitlines()] == ["math500", "builtin"]
    assert told.err.count("E203") == 1
    assert told.err.count("E106") == 1
    assert "Traceback" not in told.err
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["math500.jsonl"]


def test_nothing_is_left_of_rows_that_are_no_task(
    data: Rows, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.sets["HuggingFaceH4/MATH-500"] = [{"text": "x"}]
    (made,) = fetched(capsys, "math500", "--data-dir", "data", status=3)
    assert made["error"]["code"] == "E301"
    assert not (tmp_path / "data").exists()


def test_a_suite_and_its_members_are_fetched_once(data: Rows, capsys: pytest.CaptureFixture[str]) -> None:
    made = fetched(capsys, "math500", "math6", "arc_easy:loglikelihood", "arc_easy", status=3)
    assert [each["name"] for each in made] == [
        "math500", "aime24", "aime25", "amc23", "minerva_math", "olympiadbench", "arc_easy-loglikelihood",
    ]  # fmt: skip
    assert [each["state"] for each in made].count("failed") == 6
