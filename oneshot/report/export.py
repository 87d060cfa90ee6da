"""The figures of the page as files of their own: SVG that needs no stylesheet, and PDF through svglib and reportlab.

The rules are those of the page, light colours; they are written into the elements, because many programs that take an
SVG into a document know no CSS.
"""

from __future__ import annotations

import io
import re
import textwrap
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from oneshot._store import files
from oneshot.errors import MachineError, UsageError
from oneshot.record import RunFolder
from oneshot.report import page
from oneshot.report.figures import Figure
from oneshot.report.gather import Facts
from oneshot.report.style import Rule, rules, styled

FORMATS = ("svg", "pdf")
FOLDER = "figures"
INSTALL = "pip install 'oneshot-rlvr[plots]'"
SVG = "http://www.w3.org/2000/svg"
FONT = "Helvetica, Arial, sans-serif"
MARGIN, LINE, SWATCH = 16.0, 18.0, 22.0
_CHARACTER = 6.6
_PLAIN = str.maketrans({"\u2212": "-", "\u202f": "\u00a0", "\u2016": "||", "\u2192": "->"})
"""The fonts that every PDF reader has know no minus sign, narrow space, double bar or arrow."""


def formats(asked: str) -> tuple[str, ...]:
    """The formats of `--figures svg,pdf`. `UsageError` E103 for another one."""
    found = tuple(dict.fromkeys(word.strip().lower() for word in asked.split(",") if word.strip()))
    wrong = [word for word in found if word not in FORMATS]
    if wrong or not found:
        what = f"knows no format {wrong[0]!r}" if wrong else "names no format"
        raise UsageError(f"--figures {asked} {what}; there are svg and pdf.", code="E103", tries=("--figures svg,pdf",))
    return found


def check(asked: Sequence[str]) -> None:
    """Refuse PDF where what writes it is not installed, before anything is written. `MachineError` E204."""
    if "pdf" not in asked:
        return
    try:
        for name in ("reportlab.graphics.renderPDF", "svglib.svglib"):
            import_module(name)
    except ImportError as error:
        raise MachineError(
            f"--figures pdf needs the package {error.name!r}.", code="E204",
            tries=(INSTALL, "the same command with --figures svg"),
        ) from error  # fmt: skip


def write(run: RunFolder, facts: Facts, asked: Sequence[str]) -> list[Path]:
    """Write every figure of the page into the run folder's `figures/`, one file a format; returns the files.

    Raises:
        MachineError: E204 a package is missing; E202 the disk is full.
    """
    check(asked)
    css, found = rules(page.static("page.css")), []
    for figure in page.drawn(facts):
        image = standalone(figure, facts, css)
        if "svg" in asked:
            found.append((figure.key, "svg", ET.tostring(image, encoding="utf-8", xml_declaration=True)))
        if "pdf" in asked:
            found.append((figure.key, "pdf", pdf(image)))
    paths = []
    for key, kind, data in found:
        path = run.path / FOLDER / f"{key}.{kind}"
        files.write_bytes(path, data)
        paths.append(path)
    return paths


def standalone(figure: Figure, facts: Facts, css: Sequence[Rule]) -> ET.Element:
    """One figure with title, legend and caption around it, every style in the elements."""
    chart = ET.fromstring(str(figure.wide))
    width, height = (float(v) for v in str(chart.get("viewBox")).split()[2:])
    per_line = max(20, int(width / _CHARACTER))
    said = " ".join(words for words in (facts.arm.label and f"{facts.arm.label}.", facts.name) if words)
    head = [*textwrap.wrap(figure.title, per_line - 4), *textwrap.wrap(said, per_line)]
    legend, below = _legend(figure.legend, width), textwrap.wrap(figure.caption, per_line)
    top = MARGIN + LINE * (len(head) + len(legend)) + 8
    whole = top + height + LINE * len(below) + MARGIN
    root = ET.Element("svg", {"xmlns": SVG, "width": f"{width + 2 * MARGIN:g}", "height": f"{whole:g}",
                              "viewBox": f"0 0 {width + 2 * MARGIN:g} {whole:g}", "role": "img"})  # fmt: skip
    for name in ("title", "desc"):
        said_by_chart = chart.find(name)
        ET.SubElement(root, name).text = said_by_chart.text if said_by_chart is not None else figure.title
    ET.SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    for i, line in enumerate(head):
        bold = {"font-weight": "bold", "font-size": "15", "fill": "#16191d"} if i < len(head) - 1 else {}
        _text(root, line, MARGIN, MARGIN + LINE * (i + 0.7), **bold)
    for i, row in enumerate(legend):
        _legend_row(root, row, MARGIN + LINE * (len(head) + i + 0.7), css)
    body = ET.SubElement(root, "g", {"transform": f"translate({MARGIN:g},{top:g})", "font-family": FONT})
    body.append(_inner(styled(chart, css)))
    for i, line in enumerate(below):
        _text(root, line, MARGIN, top + height + LINE * (i + 0.8))
    return root


def _inner(chart: ET.Element) -> ET.Element:
    """The drawing without the outer element and without the words for those who do not see it."""
    group = ET.Element("g")
    group.extend(child for child in chart if child.tag not in {"title", "desc"})
    return group


def _text(root: ET.Element, words: str, x: float, y: float, **more: str) -> None:
    own = {"x": f"{x:g}", "y": f"{y:g}", "font-family": FONT, "font-size": "12.5", "fill": "#59626e"}
    ET.SubElement(root, "text", {**own, **more}).text = words


def _legend(found: Sequence[tuple[str, str]], width: float) -> list[list[tuple[str, str, float]]]:
    """Rows of (class, words, x): as many entries a row as fit."""
    rows: list[list[tuple[str, str, float]]] = []
    x = width
    for style, words in found:
        wide = SWATCH + 10 + len(words) * _CHARACTER + 18
        if not rows or x + wide > width:
            rows.append([])
            x = MARGIN
        rows[-1].append((style, words, x))
        x += wide
    return rows


MARKS: Mapping[str, str] = {
    "dot base": '<g class="dumbbells"><circle class="base" cx="11" cy="0" r="5"/></g>',
    "dot trained": '<g class="dumbbells"><circle class="trained" cx="11" cy="0" r="6"/></g>',
    "dot interval": '<rect class="interval" x="0" y="-6" width="22" height="12" rx="3"/>',
    "diamond": '<g class="dumbbells"><polygon class="control" points="11,-7 16,0 11,7 6,0"/></g>',
}


def _legend_row(root: ET.Element, row: Sequence[tuple[str, str, float]], y: float, css: Sequence[Rule]) -> None:
    for style, words, x in row:
        markup = MARKS.get(style) or (
            f'<rect class="outcome {style[4:]}" x="4" y="-7" width="13" height="13" rx="3"/>'
            if style.startswith("box ")
            else f'<g class="series {style}"><line class="line" x1="0" x2="22" y1="0" y2="0"/></g>'
        )
        mark = styled(ET.fromstring(f"<g>{markup}</g>"), css)
        mark.set("transform", f"translate({x:g},{y - 4:g})")
        root.append(mark)
        _text(root, words, x + SWATCH + 8, y)


def pdf(image: ET.Element) -> bytes:
    """The figure as a PDF of one page, with the fonts that every reader has."""
    draw: Any = import_module("reportlab.graphics.renderPDF").drawToString
    read: Any = import_module("svglib.svglib").svg2rlg
    text = ET.tostring(image, encoding="unicode").translate(_PLAIN)
    drawing = read(io.BytesIO(re.sub(r"(width|height)=\"100%\"", r'\1="10000"', text).encode()))
    assert drawing is not None, "svglib could not read a figure of this package"
    data: bytes = draw(drawing)
    return data
