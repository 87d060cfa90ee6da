"""Each benchmark runs in tiny sizes and ends in one JSON object; nothing is said about speed here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.unit.benchmarks.scripts import result_of, smoke

pytestmark = pytest.mark.slow


def run(root: Path, name: str, *flags: str) -> tuple[dict[str, Any], list[str]]:
    lines = smoke(root, name, "--threads", "1", *flags)
    result = result_of(lines, name)
    assert result["machine"]["cores"] >= 1
    return result, lines


def test_logprobs(root: Path) -> None:
    result, lines = run(root, "logprobs")
    assert [row["vocab"] for row in result["rows"]] == [300, 700]
    for row in result["rows"]:
        assert "no GPU" in row["triton"]
        for side in ("plain", "chunked"):
            assert row[side]["seconds"] > 0
            assert max(row[side]["error"].values()) < 1e-5
    assert len(lines) == 7


def test_learner(root: Path) -> None:
    result, lines = run(root, "learner", "--json")
    assert len(lines) == 1
    for row in result["rows"]:
        assert row["ours"]["tokens"] < row["plain"]["tokens"]
        assert row["ours"]["loss"] == pytest.approx(row["plain"]["loss"], abs=1e-4)
        assert row["speed_ratio"] > 0


def test_sampler(root: Path) -> None:
    result, _ = run(root, "sampler")
    one, different, equal = result["rows"]
    assert (one["table"], different["table"], equal["table"]) == ("one", "different", "equal")
    assert different["differ"] + equal["differ"] <= 1
    for row in result["rows"]:
        assert row["ratio"] == pytest.approx(row["ours"]["rate"] / row["generate"]["rate"])
    assert equal["ours"]["tokens"] == equal["generate"]["tokens"] == 20 * 6
    assert {product["rows"] for product in result["products"]} == {16, 32, 64}


@pytest.mark.skipif(find_spec("trl") is None, reason="needs trl, the other side of the comparison")
def test_vs_trl(root: Path) -> None:
    result, lines = run(root, "vs_trl", "--json")
    assert len(lines) == 1
    exactly, natural = result["rows"]
    assert (exactly["table"], natural["table"]) == ("exactly", "natural")
    assert (result["speed_ratio"], result["memory_ratio"]) == (exactly["speed_ratio"], exactly["memory_ratio"])
    for side in ("ours", "trl"):
        assert exactly[side]["generated"] == exactly[side]["trained"] == 32 * 6
        assert exactly[side]["peak_gib"] > 0.1
    assert exactly["ours"]["prompt"] == exactly["trl"]["prompt"]
    assert exactly["speed_ratio"] == pytest.approx(exactly["trl"]["seconds"] / exactly["ours"]["seconds"])


def test_ranking(root: Path) -> None:
    result, lines = run(root, "ranking", "--repeats", "1")
    assert [row["command"] for row in result["rows"]] == ["ranks", "intervals"]
    assert result["problems"] == 30
    for row in result["rows"]:
        assert row["ratio_to_torch"] == pytest.approx(row["seconds"] / result["torch_seconds"])
    assert len(lines) == 4
