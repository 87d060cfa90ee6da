"""What every exporter of results keeps to: chosen evaluations, nothing overwritten, all files or none."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot._store import files
from oneshot.errors import MachineError, UsageError
from oneshot.export.recorded import clean, file_name, stderr
from oneshot.export.results import check, export
from tests.unit.export.evaluations import DATE, GSM8K, HOSTILE, STAMP, TWICE, record, row, task


def test_files_are_returned_in_the_order_of_the_kinds(tmp_path: Path) -> None:
    store = record(tmp_path / "model")
    made = export(["hub", "lm-eval", "hub"], store, {"sums": task(hub=GSM8K)}, tmp_path / "out", date=DATE)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in made] == [
        "hub/base/.eval_results/sums.yaml",
        f"lm-eval/org-tiny-{made[1].parent.name[-8:]}/results_{STAMP}.json",
        f"lm-eval/org-tiny-{made[1].parent.name[-8:]}/samples_sums_{STAMP}.jsonl",
    ]
    assert {path for path in (tmp_path / "out").rglob("*") if path.is_file()} == set(made)


def test_only_the_tasks_and_checkpoints_asked_for(tmp_path: Path) -> None:
    store = record(tmp_path)
    record(tmp_path, name="dev")
    record(tmp_path, checkpoint="checkpoint-4")
    record(tmp_path, checkpoint="checkpoint-12")
    tasks = {"sums": task()}
    every = export(["lm-eval"], store, tasks, tmp_path / "every", date=DATE)
    assert len({path.parent for path in every}) == 3
    assert not [path for path in every if "dev" in path.name]
    one = export(["lm-eval"], store, tasks, tmp_path / "one", date=DATE, checkpoints=["checkpoint-4"])
    assert [json.loads(path.read_text())["model_name"] for path in one[:1]] == ["org/tiny@checkpoint-4"]
    assert len(one) == 2
    with pytest.raises(UsageError, match="no finished evaluation of sums") as caught:
        export(["lm-eval"], store, tasks, tmp_path / "none", date=DATE, checkpoints=["checkpoint-5"])
    assert caught.value.code == "E106"


def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path) -> None:
    store, out = record(tmp_path / "model"), tmp_path / "out"
    export(["hub"], store, {"sums": task(hub=GSM8K)}, out, date=DATE)
    before = {path: path.read_bytes() for path in out.rglob("*.yaml")}
    with pytest.raises(UsageError, match=r"sums\.yaml exists already") as caught:
        export(["lm-eval", "hub"], store, {"sums": task(hub=GSM8K)}, out, date=DATE)
    assert caught.value.code == "E104"
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file") as caught:
        export(["hub"], store, {"sums": task(hub=GSM8K)}, tmp_path / "file", date=DATE)
    assert caught.value.code == "E104"


def test_equal_evaluations_give_equal_files(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        store = record(tmp_path / name)
        paths = export(["lm-eval", "hub"], store, {"sums": task(hub=GSM8K)}, tmp_path / f"out-{name}", date=DATE)
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1]


def test_an_unknown_kind_has_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'lm-eval'") as caught:
        check(["lmeval"])
    assert caught.value.code == "E102"


def test_without_the_package_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inspect_ai", None)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    store = record(tmp_path / "model")
    with pytest.raises(MachineError, match="inspect-ai") as caught:
        export(["lm-eval", "inspect"], store, {"sums": task()}, tmp_path / "out", date=DATE)
    assert caught.value.code == "E204"
    assert caught.value.tries[0] == "pip install 'oneshot-rlvr[inspect]'"
    assert not (tmp_path / "out").exists()
    check(["lm-eval", "hub"])


@pytest.mark.parametrize("kind", ["lm-eval", "hub"])
def test_texts_of_a_model_cannot_break_a_file(kind: str, tmp_path: Path) -> None:
    rows = [row(HOSTILE, False, prompt=HOSTILE, answer=HOSTILE, response=HOSTILE, category=HOSTILE)]
    name = "../../x"
    store = record(tmp_path / "model", rows, name=name, checkpoint="../y", model=HOSTILE, suffix=HOSTILE)
    hub = task(hub=GSM8K)
    made = export([kind], store, {name: hub}, tmp_path / "out", date=DATE)
    inside = (tmp_path / "out").resolve()
    assert all(inside in path.resolve().parents for path in made)
    for path in made:
        path.read_bytes().decode("utf-8")
        if path.suffix == ".json":
            json.loads(path.read_text())
        if path.suffix == ".jsonl":
            sample = json.loads(path.read_text())
            assert sample["resps"] == [[HOSTILE.replace("\ud800", "\ufffd").replace("\udc00", "\ufffd")]]


def test_standard_error_by_hand() -> None:
    assert stderr([1.0, 0.5, 0.0]) == pytest.approx((0.25 / 3) ** 0.5)
    assert stderr([1.0, 1.0]) == 0.0
    assert stderr([1.0]) is None


@given(st.recursive(st.text(st.characters(exclude_categories=())) | st.floats(), lambda inner: st.lists(inner)))
def test_what_is_cleaned_can_be_written_as_utf8(value: Any) -> None:
    cleaned = clean(value)
    data = json.dumps(cleaned, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert json.loads(data) == cleaned
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_names_of_files_stay_inside_and_apart(one: str, other: str) -> None:
    names = file_name(one), file_name(other)
    assert all(name and "/" not in name and not name.startswith(".") and len(name) <= 120 for name in names)
    assert (names[0] == names[1]) == (clean(one) == clean(other))


def test_long_names_are_cut_and_stay_apart() -> None:
    first, second = file_name("a" * 300), file_name("a" * 301)
    assert len(first) == len(second) == 120
    assert first != second


@given(st.text())
def test_a_text_without_unpaired_surrogates_stays(value: str) -> None:
    assert clean(value) == value


def test_the_rows_written_are_the_rows_recorded(tmp_path: Path) -> None:
    store = record(tmp_path / "model")
    _, samples = export(["lm-eval"], store, {"sums": task()}, tmp_path / "out", date=DATE)
    rows = files.read_lines(samples)
    assert [each for sample in rows for each in sample["resps"][0]] == [each.response for each in TWICE]
