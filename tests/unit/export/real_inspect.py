"""`test_inspect_log.py` with the real library; not collected by itself, because Inspect does not fit the lock file.

inspect-ai 0.3.285 asks for fsspec<=2026.6.0 and, by way of botocore, python-dateutil<3. In an environment of its own:

    python -m pip install -r requirements/inspect.txt && python -m pytest tests/unit/export/real_inspect.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.data.tasks.task import Protocol
from oneshot.export.results import export
from tests.unit.export.evaluations import DATE, HOSTILE, TWICE, choice, record, record_stored, row, task

inspect = pytest.importorskip("inspect_ai.log")


def test_the_log_opens_and_its_accuracy_is_ours(tmp_path: Path) -> None:
    store = record(tmp_path)
    (made,) = export(["inspect"], store, {"sums": task()}, tmp_path / "out", date=DATE)
    log = inspect.read_eval_log(str(made))
    results, rows = store.read_eval("sums", "base")
    assert log.status == "success"
    assert log.results.scores[0].metrics["accuracy"].value == results["value"] == 0.5
    read = {(s.id, s.epoch): (s.output.completion, s.scores["math-lenient"]) for s in log.samples}
    assert len(read) == len(rows)
    for each in rows:
        text, score = read[each.id, each.sample + 1]
        assert (text, score.value, score.answer) == (each.response, "C" if each.correct else "I", each.extracted)
    assert (log.eval.task, log.eval.model, log.eval.config.epochs) == ("sums", "org/tiny", 2)
    assert log.reductions is not None
    (info,) = inspect.list_eval_logs(str(tmp_path / "out"))
    assert (info.task, info.task_id) == ("sums", log.eval.task_id)


def test_the_library_counts_as_we_do(tmp_path: Path) -> None:
    from inspect_ai.scorer import SampleScore, Score, accuracy, mean_score, stderr

    store = record(tmp_path)
    (made,) = export(["inspect"], store, {"sums": task()}, tmp_path / "out", date=DATE)
    log = inspect.read_eval_log(str(made))
    scores: dict[str, list[Score]] = {}
    for sample in log.samples:
        scores.setdefault(sample.id, []).append(sample.scores["math-lenient"])
    reduced = [SampleScore(score=mean_score()(each)) for each in scores.values()]
    metrics = log.results.scores[0].metrics
    assert accuracy()(reduced) == metrics["accuracy"].value
    assert stderr()(reduced) == pytest.approx(metrics["stderr"].value)


def test_reading_gives_equal_logs_for_equal_evaluations(tmp_path: Path) -> None:
    read = []
    for name in ("a", "b"):
        store = record(tmp_path / name)
        (made,) = export(["inspect"], store, {"sums": task()}, tmp_path / f"out-{name}", date=DATE)
        read.append(inspect.read_eval_log(str(made)).model_dump())
    assert read[0] == read[1]


def test_hostile_texts_come_back(tmp_path: Path) -> None:
    rows = [row(HOSTILE, False, prompt=HOSTILE, answer=HOSTILE, response=HOSTILE), row("../../x", True)]
    store = record(tmp_path, rows, model=HOSTILE, suffix=HOSTILE)
    (made,) = export(["inspect"], store, {"sums": task()}, tmp_path / "out", date=DATE)
    log = inspect.read_eval_log(str(made))
    told = HOSTILE.replace("\ud800", "\ufffd").replace("\udc00", "\ufffd")
    read = {sample.metadata["problem_id"]: sample.output.completion for sample in log.samples}
    assert read == {told: told, "../../x": "It is \\boxed{7}."}
    assert all(not str(sample.id).startswith(".") and "/" not in str(sample.id) for sample in log.samples)


def test_likelihoods_and_many_samples(tmp_path: Path) -> None:
    rows = [choice("q1", (-1.5, -3.0), True, True), choice("q2", (-4.0, -2.0), False, True)]
    store = record(tmp_path, rows, name="arc", **{**Protocol(kind="loglikelihood").as_dict(), "grader": ""})
    record(tmp_path, TWICE)
    made = export(["inspect"], store, {"sums": task(), "arc": task("arc")}, tmp_path / "out", date=DATE)
    found = {log.eval.task: log for log in map(inspect.read_eval_log, map(str, made))}
    assert [score.metrics["accuracy"].value for score in found["arc"].results.scores] == [0.5, 1.0]
    assert len(found["sums"].samples) == 5


def test_stored_responses(tmp_path: Path) -> None:
    (made,) = export(["inspect"], record_stored(tmp_path), {"sums": task()}, tmp_path / "out", date=DATE)
    log = inspect.read_eval_log(str(made))
    assert (log.eval.model, log.results.scores[0].metrics["accuracy"].value) == ("responses-feedbeef", 0.5)
