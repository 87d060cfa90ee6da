"""What strict means follows from the run's own reward."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneshot.measure.instruments import instruments
from tests.unit.measure.recorded import new_run, put, rows


def test_a_reward_that_asks_for_no_box_has_no_gain_from_boxes(tmp_path: Path) -> None:
    made = new_run(tmp_path, reward={"name": "number", "control": ""})
    put(made, "quiz", "base", rows("l" * 10 + "0" * 20))
    put(made, "quiz", "checkpoint-8", rows("l" * 25 + "0" * 5))
    form = instruments(made)["format"]
    assert "gain_format" not in form and form["strict"] == "own"
    assert form["gain_total"]["paired"]["estimate"] == pytest.approx(0.5)
    assert "(number) takes an answer without a box" in form["note"] and "was not measured" in form["note"]
    boxed = new_run(tmp_path)
    for name in ("base", "checkpoint-8"):
        put(boxed, "quiz", name, made.read_eval("quiz", name)[1])
    other = instruments(boxed)["format"]
    assert (other["strict"], other["note"]) == ("box", "")
    assert other["gain_total"]["paired"]["estimate"] == 0 and "gain_format" in other
