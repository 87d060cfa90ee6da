"""What `oneshot compare` prints for people."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oneshot.cli.main import main
from tests.unit.stages.comparing import put, run

Told = tuple[int, str, str]
N = 40


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    """`compare(*words)`: status, stdout, stderr; in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def go(*words: object) -> Told:
        code = main(["compare", *map(str, words)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return go


def test_text_for_people(compare: Callable[..., Told]) -> None:
    one = run(Path("runs"))
    put(one, "math500", "base", "1" * 8 + "l" * 2 + "c" * 10 + "n" * 10 + "0" * 10)
    put(one, "math500", "checkpoint-4", "1" * 26 + "0" * 14)
    code, out, err = compare(one.path)
    assert (code, err) == (0, "")
    assert f"A  {one.path}:base" in out and f"B  {one.path}:checkpoint-4" in out
    head, first, second = (line.split() for line in out.splitlines()[3:6])
    assert head[:2] == ["model", "problems"] and first[:6] == ["math500", "A", "base", "40", "25.0", "%"]
    assert (
        second[:4] == ["B", "checkpoint-4", "65.0", "%"]
        and "+40.0" in second
        and second[-3:] == ["supported,", "this", "run"]
    )
    assert "one problem is 2.5 points" in out and "1 sample each" in out
    assert "Intervals speak of this run" in out
    assert "16 problems gained, 0 lost" in out
    assert "an answer was found 50.0 % -> 100.0 %" in out and "(descriptive)" in out
    assert "gain_reasoning: +40.0 points" in out and "not measured: a forced box," in out
    cut = next(line for line in out.splitlines() if line.strip().startswith("cut "))
    assert cut.split() == ["cut", "0", "0", "0", "10", "10"]
    assert max(map(len, out.splitlines())) <= 160


def test_text_of_several_samples_and_seeds(compare: Callable[..., Told]) -> None:
    runs = [run(Path("runs"), f"s{i}", seed=i) for i in range(3)]
    for i, each in enumerate(runs):
        put(each, "math500", "base", ["100"] * N, samples=3)
        put(each, "math500", "checkpoint-4", ["110"] * (20 + i) + ["100"] * (20 - i), samples=3)
    out = compare(",".join(str(each.path) for each in runs))[1]
    assert "B checkpoint-4 (3 runs)" in out and "B new seeds" in out
    assert "3 samples each" in out and "22 problems better, 0 worse" in out
    assert "Intervals speak of this run" not in out


def test_names_from_the_disk_cannot_speak_to_the_terminal(compare: Callable[..., Told]) -> None:
    one = run(Path("runs"))
    for checkpoint in ("base", "checkpoint-4"):
        put(one, "ta\x1b[31msk", checkpoint, "0011")
    code, out, _ = compare(one.path)
    assert code == 0 and "\x1b" not in out


def test_quiet_leaves_the_notes_out(compare: Callable[..., Told]) -> None:
    one = run(Path("runs"))
    for task in ("math500", "prompt-choice-0123abcd"):
        for checkpoint in ("base", "checkpoint-4"):
            put(one, task, checkpoint, "0011")
    assert "note: prompt-choice-0123abcd" in compare(one.path)[1]
    assert "note:" not in compare(one.path, "--quiet")[1]


def test_responses_that_do_not_say_what_was_cut(compare: Callable[..., Told]) -> None:
    one = run(Path("runs"))
    put(one, "math500", "base", "0011")
    put(one, "math500", "checkpoint-4", "0111")
    results, rows = one.read_eval("math500", "checkpoint-4")
    one.write_eval("math500", "checkpoint-4", results | {"cut": None}, rows)
    assert "B does not say which responses were cut" in compare(one.path)[1]


def test_it_loads_no_model_library() -> None:
    code = (
        "import sys, oneshot.stages.compare, oneshot.data.tasks.suites;"
        "print([name for name in ('torch', 'transformers', 'datasets', 'scipy', 'pyarrow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
