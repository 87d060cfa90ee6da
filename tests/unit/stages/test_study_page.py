"""The output that docs/studies.md shows is what the code prints for a fixture."""

from __future__ import annotations

from pathlib import Path

from oneshot.stages.studies.table import table_of
from oneshot.stages.studies.text import text
from tests.unit.stages.studying import DRIFT, fill, study_in


def test_the_shown_table_is_the_fixtures(tmp_path: Path) -> None:
    folder = study_in(tmp_path)
    fill(folder, DRIFT)
    page = (Path(__file__).parents[3] / "docs" / "studies.md").read_text("utf-8")
    assert "\n".join(["```text", *text(table_of(folder)), "```"]) in page
