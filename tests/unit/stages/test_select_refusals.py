"""What `oneshot select` refuses, with its code, its reason and a way out, and that nothing is written then."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.errors import MachineError, UsageError
from oneshot.stages.selecting.output import write_new

POOL = [{"problem": f"How much is {i}?", "answer": str(i)} for i in range(3)]
GOOD = {"0": [0, 0.5], "1": [0.5, 0.5], "2": [1, 0.125]}
SOLVED, UNSOLVED = ({key: [value] * 3 for key in GOOD} for value in (1, 0))
H = ("--history", "record.json")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in POOL), "utf-8")
    Path("taken.jsonl").write_text("mine", "utf-8")
    Path("made.probe.jsonl").mkdir()
    return tmp_path


CASES: list[tuple[Any, tuple[str, ...], str, str, str]] = [
    (GOOD, (), "E105", "--score historical-variance needs a history or a probe", "--run RUN"),
    (GOOD, (*H, "--run", "latest"), "E105", "--history and --run are both given", "--probe 8"),
    (GOOD, (*H, "--score", "variance"), "E102", "unknown score 'variance'", "oneshot select --help"),
    (GOOD, (*H, "--score", "historical-varaince"), "E102", "Did you mean 'historical-variance'?", "--help"),
    (GOOD, (*H, "--top", "0"), "E103", "--top 0: a whole number from 1 on", ""),
    (GOOD, (*H, "--top", "two"), "E103", "--top two: a whole number", ""),
    (GOOD, (*H, "--top", "4"), "E103", "--top 4 is more than the 3 rows of pool.jsonl", "--top 3"),
    (GOOD, (*H, "--redraws", "-1"), "E103", "--redraws -1", ""),
    (GOOD, (*H, "--out", "taken.jsonl"), "E104", "taken.jsonl exists already", "--out taken-2.jsonl"),
    (GOOD, (*H, "--out", "pool.jsonl"), "E104", "pool.jsonl exists already", "--out pool-2.jsonl"),
    (GOOD, (*H, "--out", "taken.jsonl/x.jsonl"), "E106", "cannot be written", "--out FILE.jsonl"),
    (GOOD, ("--history", "none.json"), "E106", "does not exist", "--history FILE.json"),
    (GOOD, ("--run", "none"), "E104", "there is no run 'none'", ""),
    (GOOD, ("--probe", "8", "--score", "lim"), "E105", "it ranks by distance-to-half, mean-accuracy,", "--score mean"),
    (GOOD, ("--probe", "8"), "E105", "--probe needs --out FILE", "--probe 8 --out picks.jsonl"),
    (GOOD, ("--probe", "0", "--out", "p.jsonl"), "E103", "--probe 0", ""),
    (GOOD, ("--probe", "8", "--out", "taken.jsonl/x.jsonl"), "E106", "Not a directory", "--out FILE.jsonl"),
    (GOOD, ("--probe", "8", "--out", "x" * 300), "E106", "too long", "--out FILE.jsonl"),
    (GOOD, ("--probe", "8", "--out", "made.jsonl"), "E106", "made.probe.jsonl cannot be written: it is a f", "--out"),
    (GOOD, ("--probe", "8", "--redraws", "9"), "E105", "--redraws says how a history is read", "--history FILE"),
    (GOOD, ("--probe", "8", "--allow-ragged", "--samples", "8"), "E105", "--samples and --allow-ragged", "--run"),
    (GOOD, ("--score", "random", "--samples", "8"), "E105", "--samples says how a history is read", "--history"),
    (GOOD, (*H, "--samples", "0"), "E103", "--samples 0: a whole number from 1 on", ""),
    (GOOD, (*H, "--samples", "4"), "E105", "index '2', visit 2 has the accuracy 0.125, which is no whole", ""),
    (GOOD | {"7": [0.5]}, H, "E105", "1 indices of the history are not in the pool (7)", ""),
    ({"0": [0.5, 1]}, H, "E105", "2 indices of the pool have no history (1, 2)", ""),
    (GOOD | {"1": []}, H, "E301", "index '1': the history is empty", ""),
    (GOOD | {"1": [0.5] * 5}, H, "E301", "the histories are ragged: 2 visits to '0', 5 to '1'", "--allow-ragged"),
    (GOOD | {"1": [0.5, 1.5]}, H, "E301", "index '1', visit 2: 1.5 is no accuracy between 0 and 1", ""),
    (UNSOLVED, H, "E303", "nothing in pool.jsonl was ever solved: 9 visits to 3 examples", "--allow-unsolved"),
    (SOLVED, H, "E307", "everything in pool.jsonl was always solved", "--yes"),
    ({key: [0.5] for key in GOOD}, H, "E306", "no example was visited twice", "--score mean-accuracy"),
    (GOOD, (*H, "--score", "answer-entropy"), "E306", "holds accuracies and no answers", "--score historical"),
    (GOOD | {"0": [0.1234567, 1]}, (*H, "--score", "corrected-variance"), "E306", "how many samples", "--score hist"),
    (UNSOLVED | {"0": [0, 1, 0]}, (*H, "--score", "corrected-variance"), "E306", "a single sample", "--score hist"),
]


@pytest.mark.parametrize(("record", "words", "code", "said", "way"), CASES, ids=[case[3][:40] for case in CASES])
def test_refused(
    record: Any, words: tuple[str, ...], code: str, said: str, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("record.json").write_text(json.dumps(record), "utf-8")
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    status = main(["select", "pool.jsonl", *words])
    told = capsys.readouterr()
    assert status == (4 if code.startswith("E3") else 2), told.err
    assert told.out == ""
    assert told.err.startswith(f"{code} "), told.err
    assert said in told.err
    assert way in told.err.partition("try: ")[2]
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("record", "flag"),
    [(UNSOLVED, "--allow-unsolved"), (SOLVED, "--yes"), (GOOD | {"1": [0.5] * 5}, "--allow-ragged")],
)
def test_the_way_out_works(record: Any, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("record.json").write_text(json.dumps(record), "utf-8")
    assert main(["select", "pool.jsonl", *H, flag, "--out", "picks.jsonl"]) == 0, capsys.readouterr().err
    assert len(Path("picks.jsonl").read_text("utf-8").splitlines()) == 3


def test_a_never_solved_pick_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("record.json").write_text(json.dumps(GOOD | {"1": [0, 0]}), "utf-8")
    assert main(["select", "pool.jsonl", *H, "--top", "3"]) == 0
    assert "chosen, but never solved: index 1; train asks for --allow-unsolved there." in capsys.readouterr().out


def test_an_output_that_appears_meanwhile_is_kept() -> None:
    with pytest.raises(UsageError) as caught:
        write_new(Path("taken.jsonl"), b"ours")
    assert caught.value.code == "E104"
    assert Path("taken.jsonl").read_text("utf-8") == "mine"


def test_a_full_disk_leaves_no_part_of_the_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MachineError):
        write_new(Path("new/picks.jsonl"), b"rows")
    assert not list(Path("new").iterdir())


def test_a_killed_write_leaves_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(handle: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", kill)
    with pytest.raises(KeyboardInterrupt):
        write_new(Path("picks.jsonl"), b"rows")
    assert not Path("picks.jsonl").exists()


def test_without_links_the_output_is_written_and_nothing_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*names: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", none)
    write_new(Path("picks.jsonl"), b"rows")
    assert Path("picks.jsonl").read_bytes() == b"rows"
    with pytest.raises(UsageError) as caught:
        write_new(Path("taken.jsonl"), b"ours")
    assert caught.value.code == "E104"
    assert Path("taken.jsonl").read_text("utf-8") == "mine"
    assert not list(Path().glob(".*.tmp"))


@pytest.mark.parametrize(
    ("name", "said", "way"),
    [
        ("pi1", "pi1 is one built-in example", "oneshot train --data pi1"),
        ("builtin", "the built-in task is no pool of rows", "oneshot demo"),
    ],
)
def test_what_is_built_in_is_no_pool(name: str, said: str, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", name, "--probe", "8", "--out", "picks.jsonl"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("E105 ")
    assert said in told
    assert way in told
