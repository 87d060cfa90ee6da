from __future__ import annotations

import importlib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from oneshot.config.request import Request
from oneshot.config.schema import Config, SaveConfig
from oneshot.errors import MachineError, UsageError
from oneshot.report import export, page
from oneshot.report.gather import gather
from oneshot.report.style import rules, styled
from oneshot.stages import report as stage
from tests.unit.report.runs import HOSTILE, make_run

SVG = "{http://www.w3.org/2000/svg}"
CSS = """:root { --ink: #111111; --soft: #22222280; }
.outside { fill: red; }
/* figures: begin. */
.chart text { fill: var(--soft); font-family: x; }
.a .line { stroke: var(--ink); stroke-width: 2px; }
.line { stroke: blue; fill: none; }
.a.b .line { stroke-dasharray: 5 5; }
.label, .other { stroke: white; fill: var(--ink); }
/* figures: end */
.outside { fill: green; }"""


def test_rules_are_written_into_the_elements_by_weight() -> None:
    svg = '<svg class="chart"><g class="a b"><line class="line"/></g><g class="a"><line class="line outside"/></g>'
    root = styled(ET.fromstring(svg + '<text class="label">t</text></svg>'), rules(CSS))
    first, second = root.iter("line")
    assert first.attrib == {"stroke": "#111111", "stroke-width": "2", "fill": "none", "stroke-dasharray": "5 5"}
    assert second.attrib == {"stroke": "#111111", "stroke-width": "2", "fill": "none"}
    (text,) = root.iter("text")
    assert text.attrib == {"fill": "#222222", "fill-opacity": "0.502"}  # an element's name weighs more than none


def test_every_figure_is_a_file_that_needs_no_stylesheet(tmp_path: Path) -> None:
    run = make_run(tmp_path, text=HOSTILE)
    facts = gather(run)
    paths = export.write(run, facts, ("svg",))
    assert [path.name for path in paths] == [f"{figure.key}.svg" for figure in page.drawn(facts)]
    for path in paths:
        root = ET.parse(path).getroot()
        assert root.tag == f"{SVG}svg" and float(root.get("width", "0")) > 200
        assert {child.tag.removeprefix(SVG) for child in root.iter()} <= {
            "svg", "title", "desc", "rect", "text", "g", "line", "circle", "polygon", "polyline"
        }  # fmt: skip
        assert not any("class" in e.attrib or "style" in e.attrib for e in root.iter())
        for element in root.iter():
            if element.tag in {f"{SVG}{name}" for name in ("circle", "polyline", "polygon", "rect", "line")}:
                assert "fill" in element.attrib or "stroke" in element.attrib, (path.name, element.attrib)
        assert root.findtext(f"{SVG}title") and root.findtext(f"{SVG}desc")
        assert "var(" not in path.read_text(encoding="utf-8")


def test_a_control_arm_is_named_in_its_figures(tmp_path: Path) -> None:
    run = make_run(tmp_path, control="shuffled")
    (path,) = [p for p in export.write(run, gather(run), ("svg",)) if p.stem == "training"]
    assert "control arm: shuffled rewards" in path.read_text(encoding="utf-8")


def test_pdf_of_every_figure(tmp_path: Path) -> None:
    pytest.importorskip("svglib")
    run = make_run(tmp_path)
    paths = export.write(run, gather(run), ("svg", "pdf"))
    pdfs = [path for path in paths if path.suffix == ".pdf"]
    assert len(pdfs) == len(paths) / 2
    for path in pdfs:
        data = path.read_bytes()
        assert data.startswith(b"%PDF-") and b"/Type /Page" in data and len(data) > 1500


def test_without_the_packages_pdf_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str, *rest: Any) -> Any:
        if name.startswith(("svglib", "reportlab")):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importlib.import_module(name, *rest)

    monkeypatch.setattr(export, "import_module", absent)
    run = make_run(tmp_path)
    with pytest.raises(MachineError) as caught:
        stage.main(_request(tmp_path, figures="svg,pdf"))
    assert caught.value.code == "E204" and "pip install 'oneshot-rlvr[plots]'" in caught.value.tries
    assert not (run.path / "report.html").exists() and not (run.path / "figures").exists()
    assert stage.main(_request(tmp_path, figures="svg")) == 0
    assert any((run.path / "figures").iterdir())


@pytest.mark.parametrize("asked", ["png", "svg,png", "", ","])
def test_unknown_formats_are_refused(asked: str) -> None:
    with pytest.raises(UsageError) as caught:
        export.formats(asked)
    assert caught.value.code == "E103"


def _request(root: Path, **flags: str) -> Request:
    return Request(
        verb="report", positional=("latest",), config=Config(save=SaveConfig(runs=str(root))), verb_flags=flags
    )


def test_the_verb_prints_every_path_and_takes_a_control_arm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    control = make_run(tmp_path / "b", control="shuffled")
    run = make_run(tmp_path / "a")
    assert stage.main(_request(tmp_path / "a", figures="svg", **{"with": str(control.path)})) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(run.path / "report.html") and str(run.path / "figures" / "training.svg") in lines[1:]
    assert "shuffled rewards, run" in (run.path / "report.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        stage.main(_request(tmp_path / "a", **{"with": "latest"}))
    assert caught.value.code == "E103"
    with pytest.raises(UsageError) as caught:
        stage.main(_request(tmp_path / "a", **{"with": "nothing"}))
    assert caught.value.code == "E104"
