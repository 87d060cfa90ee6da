"""The paper's published record with its pool: what every rank, score and interval of it must be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oneshot.cli.main import main
from oneshot.measure import selection
from oneshot.measure.histories import Recorded, Track, aligned, read
from oneshot.measure.selection import SCORES, FloatArray
from oneshot.measure.uncertainty import Intervals, Ranking, intervals, ranking

FIRST = [124, 267, 531, 931, 212, 25, 568, 131, 649, 724, 875, 925, 682, 100, 291, 50, 870]
LATER = {605: 60, 606: 906, 1201: 847, 1207: 174, 1208: 770, 1209: 789}
STD = {124: 0.40676, 267: 0.39607, 531: 0.33765, 682: 0.27261, 870: 0.26104, 60: 0.10729, 906: 0.10711, 789: 0}
MEAN = {124: 0.441, 267: 0.350, 131: 0.816, 100: 0.262, 291: 0.738, 60: 0.077, 906: 0.914, 789: 0}
KEYS = ["rank", "index", "id", "score", "ci_low", "ci_high", "mean_accuracy", "visits", "tie_first", "tie_last"]


@pytest.fixture(scope="module")
def record(shared_data: Path) -> Recorded:
    return read(shared_data / "acc_step_500.json")


@pytest.fixture(scope="module")
def tracks(record: Recorded) -> list[Track]:
    """In the pool's order."""
    return aligned(record, [str(index) for index in range(1209)], "the pool")[0]


@pytest.fixture(scope="module")
def stable(record: Recorded) -> list[int]:
    return aligned(record, [str(index) for index in range(1209)], "the pool")[1]


def scored(name: str, tracks: Sequence[Track]) -> FloatArray:
    return SCORES[name].of(tracks, 0)


def ranked(name: str, tracks: Sequence[Track], stable: Sequence[int]) -> Ranking:
    return ranking(scored(name, tracks), descending=SCORES[name].descending, stable_P=stable)


def test_what_the_record_is(record: Recorded, tracks: list[Track]) -> None:
    visits = [len(track.accuracies) for track in tracks]
    assert (min(visits), max(visits), sum(visits), record.samples) == (44, 57, 64_000, 8)
    seen = [accuracy for track in tracks for accuracy in track.accuracies]
    assert np.mean(seen) == pytest.approx(0.4229, abs=5e-5)
    assert np.mean([0 < accuracy < 1 for accuracy in seen]) == pytest.approx(0.51, abs=5e-3)


def test_the_papers_ranks(tracks: list[Track], stable: list[int]) -> None:
    order = ranked("historical-variance", tracks, stable).order
    assert order[:17] == FIRST
    assert {rank: order[rank - 1] for rank in LATER} == LATER
    scores = scored("historical-variance", tracks)
    assert {index: round(float(scores[index]), 5) for index in STD} == STD
    means = selection.mean_accuracy([track.accuracies for track in tracks])
    assert {index: round(float(means[index]), 3) for index in MEAN} == MEAN


def test_the_order_is_numpys_outside_exact_ties(tracks: list[Track], stable: list[int]) -> None:
    """The published code sorts numpy.std; its rounding orders exact ties, and nothing else is ordered otherwise."""
    found = ranked("historical-variance", tracks, stable)
    numpys = ranking(np.array([np.std(track.accuracies) for track in tracks]), stable_P=stable)
    assert (found.first_P <= numpys.rank_P).all() and (numpys.rank_P <= found.last_P).all()


def test_ties_are_exact(tracks: list[Track], stable: list[int]) -> None:
    found = ranked("historical-variance", tracks, stable)
    zero = np.flatnonzero(scored("historical-variance", tracks) == 0)
    assert len(zero) == 104
    assert {(int(found.first_P[i]), int(found.last_P[i])) for i in zero} == {(1106, 1209)}
    means = selection.mean_accuracy([tracks[i].accuracies for i in zero])
    assert (int((means == 0).sum()), int((means == 1).sum())) == (99, 5)
    assert [(int(found.first_P[i]), int(found.last_P[i])) for i in (100, 291)] == [(14, 15)] * 2
    assert found.last_P[124] == 1 and found.first_P[682] == found.last_P[682] == 13


def test_the_noise_correction(tracks: list[Track], stable: list[int]) -> None:
    corrected = scored("corrected-variance", tracks)
    assert (int((corrected <= 0).sum()), int((corrected < 0).sum())) == (501, 357)
    assert round(float(corrected[124]), 4) == 0.1541
    assert round(float(corrected[682]), 4) == 0.0500
    found = ranked("corrected-variance", tracks, stable)
    assert (found.rank_P[124], found.rank_P[682]) == (1, 15)
    shares = selection.noise_share([t.accuracies for t in tracks], [t.samples for t in tracks])
    assert float(np.nanmedian(shares)) == pytest.approx(0.89, abs=5e-3)


def test_intervals_of_ranks(tracks: list[Track]) -> None:
    found = intervals("historical-variance", tracks)
    assert isinstance(found, Intervals)
    assert (found.rank_low_P[124], found.rank_high_P[124]) == (1, 2)
    for index, low, high in ((682, 8, 40), (870, 11, 80)):
        assert found.rank_low_P[index] == pytest.approx(low, rel=0.2)
        assert found.rank_high_P[index] == pytest.approx(high, rel=0.2)
    assert found.score_low_P[124] < STD[124] < found.score_high_P[124]


def test_the_ranking_under_other_rules(tracks: list[Track], stable: list[int]) -> None:
    """First 44 visits: 1, 2 stay, 13 falls to 17, 12 of the top 16 remain. By the mean rate, 1 would be rank 69."""
    cut = [Track(accuracies=t.accuracies[:44], samples=t.samples[:44]) for t in tracks]
    found = ranked("historical-variance", cut, stable)
    assert [int(found.rank_P[index]) for index in (124, 267, 682)] == [1, 2, 17]
    assert len(set(found.order[:16]) & set(FIRST[:16])) == 12
    nearest = ranked("distance-to-half", tracks, stable)
    assert nearest.rank_P[124] == 69
    assert not set(nearest.order[:16]) & set(FIRST[:16])


def test_lim_is_the_published_formula_on_the_first_44_visits(tracks: list[Track]) -> None:
    table = np.array([track.accuracies[:44] for track in tracks])
    curve = table.mean(axis=0)
    expected = 1 - ((table - curve) ** 2).sum(axis=1) / ((1 - curve) ** 2).sum()
    assert scored("lim", tracks) == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def words(shared_data: Path) -> list[str]:
    return ["select", str(shared_data / "dsr_sub.jsonl"), "--history", str(shared_data / "acc_step_500.json")]


def test_the_command(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "all.jsonl"
    assert main([*words, "--out", str(out), "--json", "--redraws", "50"]) == 0
    told = json.loads(capsys.readouterr().out)
    rows: list[dict[str, Any]] = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [row["rank"] for row in rows] == list(range(1, 1210))
    assert [row["index"] for row in rows[:17]] == FIRST
    assert {tuple(row) for row in rows} == {(*KEYS, "problem", "answer")}
    assert [rows[i]["answer"] for i in (0, 1, 12)] == ["12.8", "24", r"\frac{4}{3}"]
    assert (rows[-1]["index"], rows[-1]["tie_first"], rows[-1]["tie_last"]) == (789, 1106, 1209)
    assert (told["examples"], told["different_problems"]) == (1209, 1207)
    assert told["same_problem"] == [["136", "780", "899"]]
    assert told["empty_references"] == [265]
    assert told["noise"]["corrected_variance"] == {"not_positive": 501, "negative": 357}
    assert [row["rank"] for row in told["rows"] if row["empty_reference"]] != []
    assert len({row["id"] for row in rows}) == 1207


def test_it_ranks_without_torch(words: list[str], tmp_path: Path) -> None:
    """In a fresh process."""
    code = (
        f"import sys; from oneshot.cli.main import main; main({words!r}); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True)
    assert b"'numpy'" in done.stderr
    assert b"'torch'" not in done.stderr and b"'transformers'" not in done.stderr
