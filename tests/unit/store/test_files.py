from __future__ import annotations

import gzip
import json
import math
import resource
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneshot._store import files
from oneshot.errors import MachineError, UsageError
from tests.unit.store.samples import make


def test_other_system_errors_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        files.write_bytes(tmp_path / "folder", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_half_written_line_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    files.append_line(path, {"step": 0})
    whole = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 10, hard))
    try:
        with pytest.raises(MachineError, match=r"could not be written \(File too large\)") as caught:
            files.append_line(path, {"step": 1, "padding": "x" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "E202"
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("torn", "kept"), [('{"step": 1, "rew', [0, 2]), ('{"step": 1}', [0, 1, 2]), ('{"step": 1}\n', [0, 1, 2])]
)
def test_a_torn_line_is_ignored_and_then_mended(tmp_path: Path, torn: str, kept: list[int]) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 0}\n' + torn)
    assert [row["step"] for row in files.read_lines(path)] == kept[:-1]
    files.append_line(path, {"step": 2})
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == kept


def test_a_bad_line_in_the_middle_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    for middle in ("nonsense", "[1]"):
        path.write_text(f'{{"step": 0}}\n{middle}\n{{"step": 2}}\n')
        with pytest.raises(UsageError, match="line 2 is not") as caught:
            files.read_lines(path)
        assert caught.value.code == "E106"


def test_numbers_json_has_no_word_for_become_null(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_json(
        "summary.json", {"a": math.nan, "b": [np.float32(0.5), np.int64(3), np.bool_(True)], "c": (tmp_path,), 1: -0.0}
    )
    text = (run.path / "summary.json").read_text()
    assert json.loads(text) == {"a": None, "b": [0.5, 3, True], "c": [str(tmp_path)], "1": 0.0}
    with pytest.raises(TypeError, match="object"):
        run.write_json("summary.json", {"a": object()})
    assert (run.path / "summary.json").read_text() == text


def test_text_is_written_whatever_is_in_it(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.write_text("report.html", "a\ud800b\u2028")
    assert (run.path / "report.html").read_bytes() == "a?b\u2028".encode()


@given(st.lists(st.floats(max_value=0), max_size=5))
def test_log_probabilities_are_exact_or_nan(logprobs: list[float]) -> None:
    data = files.gzipped(files.json_lines([{"x": tuple(logprobs)}]))
    back = json.loads(gzip.decompress(data))["x"]
    assert back == [value if math.isfinite(value) else None for value in logprobs]
