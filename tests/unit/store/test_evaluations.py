"""Evaluations that are not finished, and the folder of a model without a run."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from oneshot._store.evaluations import CHOICES, FORCED, SAMPLE
from oneshot.errors import MachineError, UsageError
from oneshot.record import EvalFolder, RunFolder
from tests.unit.store.samples import NASTY, eval_row, full_disk, make

PROTOCOL = {"weights": "w", "temperature": 0.6, "eos_ids": [0, 2], "prompts": "p"}


def test_samples_come_back(tmp_path: Path) -> None:
    run = make(tmp_path)
    partial = run.partial("math500", "base", PROTOCOL)
    assert partial.get(SAMPLE) == {}
    partial.append(SAMPLE, [(0, 0, NASTY, 5, True), (0, 1, "", 1, False)])
    partial.append(FORCED, [(0, 0, "7}")])
    partial.append(CHOICES, [(4, 0, [-1.5, -2.25], [3, 4])])
    again = run.partial("math500", "base", PROTOCOL)
    for each in (partial, again):
        assert each.get(SAMPLE) == {(0, 0): (NASTY, 5, True), (0, 1): ("", 1, False)}
        assert each.get(FORCED) == {(0, 0): ("7}",)}
        assert each.get(CHOICES) == {(4, 0): ([-1.5, -2.25], [3, 4])}
    assert run.partial_path("math500", "base") == run.path / "evals" / "math500" / "base" / "partial.jsonl"
    assert (run.evals(), run.has_eval("math500", "base")) == ([], False)
    again.remove()
    assert not again.path.exists()
    again.remove()


def test_what_was_put_aside_is_not_read(tmp_path: Path) -> None:
    """As the line of E107 does it; it would be read twice otherwise, in the place of what was measured then."""
    run = make(tmp_path)
    for task in ("math500", "a/b"):  # the folder of the second has a hash
        for checkpoint in ("base", "checkpoint-4"):
            run.write_eval(task, checkpoint, {}, [eval_row("a")])
    whole = run.evals()
    assert len(whole) == 4
    at = run.eval_dir("math500", "base")
    at.rename(f"{at}.old")
    assert run.evals() == [key for key in whole if key != ("math500", "base")]
    run.write_eval("math500", "base", {}, [eval_row("b")])
    assert run.evals() == whole
    at.parent.rename(f"{at.parent}.old")
    assert run.evals() == [key for key in whole if key[0] == "a/b"]


def test_another_protocol_is_refused_with_what_differs(tmp_path: Path) -> None:
    run = make(tmp_path)
    path = run.partial("t", "base", PROTOCOL).path
    for changed, what in (
        ({"temperature": 1.0, "prompts": "q"}, "another evaluation: temperature was 0.6 and is now 1.0."),
        ({"eos_ids": [0], "weights": "v"}, "eos_ids was .0, 2. and is now .0.."),
        ({"prompts": "q"}, "prompts was 'p' and is now 'q'."),
        ({"more": 1}, "more was None and is now 1."),
    ):
        with pytest.raises(UsageError, match=what) as caught:
            run.partial("t", "base", PROTOCOL | changed)
        assert (caught.value.code, caught.value.tries) == ("E107", (f"mv {path} {path}.old",))
    run.partial("t", "base", dict(reversed(PROTOCOL.items())))  # in another order it is the same


@pytest.mark.parametrize(
    "line",
    [
        '{"phase": "sample", "rows": [[0, 0, "text", 3]]}',
        '{"phase": "sample", "rows": [[0, 0, 7, 3, true]]}',
        '{"phase": "sample", "rows": [["0", 0, "text", 3, true]]}',
        '{"phase": "forced", "rows": 3}',
        '{"phase": "else", "rows": [[0, 0]]}',
        '{"rows": []}',
    ],
)
def test_a_damaged_batch_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    run = make(tmp_path)
    partial = run.partial("t", "base", PROTOCOL)
    partial.append(SAMPLE, [(0, 0, "text", 3, True)])
    with partial.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match="line 3 is not a batch of samples") as caught:
        run.partial("t", "base", PROTOCOL)
    assert caught.value.code == "E106"


def test_a_file_that_is_no_record(tmp_path: Path) -> None:
    run = make(tmp_path)
    path = run.partial_path("t", "base")
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": "oneshot.probe/1", "protocol": {}}\n')
    with pytest.raises(UsageError, match="not the record of an evaluation"):
        run.partial("t", "base", PROTOCOL)


def test_a_full_disk_keeps_whole_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)
    partial = run.partial("t", "base", PROTOCOL)
    partial.append(SAMPLE, [(0, 0, "text", 3, True)])
    before = partial.path.read_bytes()
    with full_disk(monkeypatch), pytest.raises(MachineError) as caught:
        partial.append(SAMPLE, [(1, 0, "text", 3, True)])
    assert (caught.value.code, partial.path.read_bytes()) == ("E202", before)
    assert partial.get(SAMPLE).keys() == {(0, 0)}


def test_a_finished_one_is_not_taken_for_another(tmp_path: Path) -> None:
    run = make(tmp_path)
    recorded = {"temperature": 0.6, "eos_ids": [0]}
    run.check_protocol("t", "base", recorded, {"temperature": 0.6, "eos_ids": (0,), "newer": 1})
    with pytest.raises(UsageError, match=r"temperature was 0\.6 and is now 1\.0"):
        run.check_protocol("t", "base", recorded, {"temperature": 1.0})


def test_the_folder_of_a_model(tmp_path: Path) -> None:
    model = {"name": "m", "revision": "", "weights": "abc"}
    store = EvalFolder.open(tmp_path / "runs" / "eval-m", model)
    assert EvalFolder.find(store.path) is None, "there is nothing in it yet"
    store.write_eval("gsm8k", "base", {"value": 0.5}, [eval_row("a")])
    again = EvalFolder.open(store.path, dict(reversed(model.items())))
    assert (again.model(), again.evals(), again.read_eval("gsm8k", "base")[1]) == (
        model,
        [("gsm8k", "base")],
        [eval_row("a")],
    )
    found = EvalFolder.find(store.path)
    assert found is not None and found.path == store.path
    assert EvalFolder.find(make(tmp_path).path) is None
    with pytest.raises(UsageError):
        RunFolder.open(str(store.path), tmp_path)


def test_another_models_folder_is_refused(tmp_path: Path) -> None:
    EvalFolder.open(tmp_path / "e", {"name": "m", "weights": "abc"})
    with pytest.raises(UsageError, match="another model: its weights is 'abc' and not 'abd'") as caught:
        EvalFolder.open(tmp_path / "e", {"name": "m", "weights": "abd"})
    assert caught.value.code == "E104"
    assert json.loads((tmp_path / "e" / "model.json").read_text())["weights"] == "abc"


def test_what_is_no_folder_of_evaluations(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    run = make(tmp_path)
    for path, rule in ((tmp_path / "file", "it is a file"), (run.path, "not empty")):
        with pytest.raises(UsageError, match=rule) as caught:
            EvalFolder.open(path, {"name": "m"})
        assert caught.value.code == "E104"
    with pytest.raises(UsageError, match="can be made at"):
        EvalFolder.open(tmp_path / "file" / "e", {"name": "m"})
    assert EvalFolder.open(tmp_path / "empty", {"name": "m"}).model() == {"name": "m"}
    (tmp_path / "empty" / "model.json").write_text("{")
    with pytest.raises(UsageError) as caught:
        EvalFolder.open(tmp_path / "empty", {"name": "m"})
    assert caught.value.code == "E106"


def test_evaluations_of_the_first_version_are_read(tmp_path: Path) -> None:
    """They have no `sample`."""
    run = make(tmp_path)
    run.write_eval("dev", "base", {"schema": "oneshot.results/1", "value": 1.0}, [eval_row("a")])
    path = run.eval_dir("dev", "base") / "samples.jsonl.gz"
    row = json.loads(gzip.decompress(path.read_bytes()))
    del row["sample"]
    path.write_bytes(gzip.compress(json.dumps(row).encode() + b"\n"))
    (read,) = run.read_eval("dev", "base")[1]
    assert (read, read.sample) == (eval_row("a"), 0)
