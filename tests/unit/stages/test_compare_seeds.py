"""`oneshot compare A1,A2,A3 B1,B2,B3`: what counts as training seeds, and what copies of a run are worth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from tests.unit.stages.comparing import Told, compared, folder, object_of, put, run

N = 40
Compare = Callable[..., Told]


def right(count: int, n: int = N) -> str:
    """The first ones right."""
    return "1" * count + "0" * (n - count)


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Compare:
    """`compare(*words)`: status, stdout, stderr; in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: compared(capsys, *words)


@pytest.fixture
def claim(compare: Compare) -> Callable[..., dict[str, Any]]:
    """Arm B against A on MATH500."""
    return lambda *words: dict(object_of(compare, *words)["tasks"]["math500"]["comparisons"]["B"])


@pytest.fixture
def refused(compare: Compare) -> Callable[..., dict[str, Any]]:
    """The error object of a comparison that is refused."""
    return lambda *words: object_of(compare, *words, code=2)


def three(counts: tuple[int, ...] = (30, 31, 32), n: int = N) -> list[RunFolder]:
    """Runs that differ by their seed, each with its base."""
    runs = [run(Path("runs"), f"s{i}", seed=i) for i in range(len(counts))]
    for each, count in zip(runs, counts, strict=True):
        put(each, "math500", "base", right(10, n))
        put(each, "math500", "checkpoint-4", right(count, n))
    return runs


def names(runs: list[RunFolder], checkpoint: str = "") -> str:
    """As they are typed."""
    return ",".join(f"{each.path}{checkpoint}" for each in runs)


def test_runs_that_differ_by_their_seed(claim: Callable[..., dict[str, Any]]) -> None:
    found = claim(names(three()))
    assert (found["claim"], found["scope"]) == ("supported", "new seeds")
    assert found["seeds"]["effects"] == pytest.approx([0.5, 0.525, 0.55])


def test_where_runs_are_saved_and_read_may_differ(claim: Callable[..., dict[str, Any]]) -> None:
    runs = three()
    for i, each in enumerate(runs):
        save, evals = {"name": f"s{i}"}, {"every": i}
        each.write_json("config.json", {**each.config(), "save": save, "evals": evals})
    assert claim(names(runs))["scope"] == "new seeds"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 0}, "the seeds of B are 0, 1, 0"),
        ({"optim": {"lr": 1e-5}}, "optim.lr of B is None and 1e-05"),
        ({"data": {"index": 3}}, "data.index of B is None and 3"),
    ],
)
def test_what_is_no_seed(claim: Callable[..., dict[str, Any]], change: dict[str, Any], says: str) -> None:
    runs = three()
    runs[2].write_json("config.json", {**runs[2].config(), **change})
    found = claim(names(runs))
    assert (found["claim"], found["seeds"]) == ("not tested", None) and says in found["scope"]
    assert {gain["claim"] for gain in found["gains"].values()} <= {"not tested", "not tested beyond lenient"}


def test_copies_of_one_run_are_no_seeds(claim: Callable[..., dict[str, Any]]) -> None:
    runs = three((30, 30, 30))
    for each in runs:
        put(each, "math500", "checkpoint-4", right(30), weights="cccc")
    found = claim(names(runs))
    assert found["claim"] == "not tested" and "same weights" in found["scope"]
    for each in runs:
        put(each, "math500", "checkpoint-4", right(30), weights="")
    assert "the weights of B were not recorded" in claim(names(runs))["scope"]


def test_a_trained_control_must_be_seeds_too(claim: Callable[..., dict[str, Any]]) -> None:
    arm, control = three(), [run(Path("runs"), f"c{i}", seed=1) for i in range(3)]
    for each in control:
        put(each, "math500", "checkpoint-4", right(20))
    assert "the seeds of A are 1, 1, 1" in claim(names(control), names(arm))["scope"]


def test_bases_of_other_models_are_no_control_of_seeds(claim: Callable[..., dict[str, Any]]) -> None:
    runs = three()
    put(runs[1], "math500", "base", right(10), weights="bbbb")
    assert "A holds other base models" in claim(names(runs))["scope"]


def test_other_checkpoints_are_no_seeds(claim: Callable[..., dict[str, Any]]) -> None:
    runs = three()
    put(runs[2], "math500", "checkpoint-8", right(33))
    assert "B holds checkpoint-4 and checkpoint-8" in claim(names(runs))["scope"]


def test_models_that_can_be_no_seeds_are_refused(refused: Callable[..., dict[str, Any]]) -> None:
    one, *others = three()
    put(one, "math500", "checkpoint-8", right(33))
    several = f"{one.path}:checkpoint-4,{one.path}:checkpoint-8,{others[0].path}"
    found = refused(f"{one.path}:base", several)
    assert found["code"] == "E103" and "several checkpoints" in found["message"]
    assert "is a base model" in refused(f"{one.path}:base", names(others, ":base"))["message"]
    bare = [folder(Path(f"bare{i}"), model="toy", number=str(i)) for i in range(2)]
    for each in bare:
        put(each, "math500", "base", right(30))
    assert refused(f"{one.path}:base", "bare0,bare1")["code"] == "E103"
    assert refused("bare0,bare1", names(others))["code"] == "E103"


def test_copies_of_a_deterministic_base_do_not_narrow_the_interval(compare: Compare) -> None:
    runs = three((0, 0, 0), n=100)
    for each in runs:
        put(each, "math500", "base", "0" * 100)
    alone = compare(runs[0].path)[1]
    assert "-2.7 to +2.7" in alone
    for words in ([names(runs)], [f"{runs[0].path}:base", names(runs)]):
        pair = object_of(compare, *words)["tasks"]["math500"]["comparisons"]["B"]
        assert (pair["paired"]["ci_low"], pair["paired"]["ci_high"]) == pytest.approx((-0.0272, 0.0272), abs=5e-5)
        form = pair["gains"]["gain_format"]["paired"]
        assert (form["ci_low"], form["ci_high"]) == pytest.approx((-0.0272, 0.0272), abs=5e-5)
        assert pair["paired"]["samples"] == 1
        assert compare(*words)[1].count("-2.7 to +2.7") >= 2


def test_the_interval_of_an_arm_does_not_count_copies(compare: Compare) -> None:
    runs = three((30, 30, 30))
    told = object_of(compare, names(runs))["tasks"]["math500"]["arms"]["B"]
    one = object_of(compare, runs[0].path)["tasks"]["math500"]["arms"]["B"]
    assert {key: told[key] for key in ("ci_low", "ci_high", "method")} == {
        key: one[key] for key in ("ci_low", "ci_high", "method")
    }


def test_runs_with_other_numbers_of_samples_weigh_the_same(claim: Callable[..., dict[str, Any]]) -> None:
    runs = three()
    base = folder(Path("base"))
    put(base, "math500", "base", right(10))
    put(runs[0], "math500", "checkpoint-4", ["1" * 8] * 40, samples=8)
    for each in runs[1:]:
        put(each, "math500", "checkpoint-4", right(10))
    found = claim("base", names(runs), "--allow-different")
    # The first run has 40 of 40, the others 10 of 40 each: the mean of the runs is .5, of the responses .85.
    assert found["paired"]["trained"] == pytest.approx(0.5) and found["paired"]["estimate"] == pytest.approx(0.25)
    assert found["decomposition"]["trained"] == pytest.approx(0.5)


def test_text_names_the_scope_and_the_size_of_new_seeds(compare: Compare) -> None:
    runs = three((11, 12))
    out = compare(names(runs))[1]
    assert "not tested; these 2 runs; 3 seeds are needed for new seeds" in out
    row = next(line.split() for line in out.splitlines() if "B new seeds" in line)
    assert row[-2:] == ["not", "tested"] and float(row[-3]) > 0
    runs = three((11, 12, 10))
    out = compare(names(runs))[1]
    assert "inconclusive; gains above" in out and "points are excluded" in out
    assert max(map(len, out.splitlines())) <= 160
