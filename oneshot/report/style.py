"""The page's style rules of figures, written into the elements of a figure that leaves the page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BEGIN, END = "/* figures: begin", "/* figures: end */"
DROPPED = {"paint-order", "font-family", "font-variant-numeric"}
_HALO = {"stroke", "stroke-width", "stroke-linejoin"}
"""What draws a halo round letters, which only browsers put behind them."""
_HEX8 = re.compile(r"#([0-9a-f]{6})([0-9a-f]{2})", re.IGNORECASE)

Simple = tuple[str, frozenset[str]]
"""An element's name ("" for any) and the classes that it must have."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One selector: what the element and some of its ancestors must be, and the declarations."""

    parts: tuple[Simple, ...]
    declarations: Mapping[str, str]

    @property
    def weight(self) -> tuple[int, int]:
        """Specificity: classes, then element names."""
        return sum(len(classes) for _, classes in self.parts), sum(bool(name) for name, _ in self.parts)


def rules(css: str) -> list[Rule]:
    """The figure rules of the page's stylesheet with its light colours put in for the variables, weakest first."""
    root = css[css.index(":root {") :]
    colours = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", root[: root.index("}")]))
    block = re.sub(r"/\*.*?\*/", "", css[css.index(BEGIN) : css.index(END)], flags=re.DOTALL)
    found = []
    for selectors, body in re.findall(r"([^{}]+)\{([^{}]*)\}", block):
        plain = re.sub(r"var\((--[\w-]+)\)", lambda m: colours[m[1]].strip(), body)
        pairs = (part.split(":", 1) for part in plain.split(";") if ":" in part)
        declarations = {name.strip(): value.strip() for name, value in pairs}
        kept = {name: value for name, value in declarations.items() if name not in DROPPED}
        found += [Rule(parts=_parts(one), declarations=kept) for one in selectors.split(",")]
    return sorted(found, key=lambda rule: rule.weight)  # stable: of equal weight the later rule stays later


def _parts(selector: str) -> tuple[Simple, ...]:
    words = [word.split(".") for word in selector.split()]
    return tuple((name, frozenset(classes)) for name, *classes in words)


def styled(element: ET.Element, css: Sequence[Rule], above: tuple[ET.Element, ...] = ()) -> ET.Element:
    """The element and all below it with the declarations that apply as attributes; classes are taken away."""
    found: dict[str, str] = {}
    for rule in css:
        if _applies(rule, element, above):
            found |= rule.declarations
    if element.tag == "text":
        found = {name: value for name, value in found.items() if name not in _HALO}
    for child in element:
        styled(child, css, (*above, element))
    for name, value in found.items():
        for key, plain in _without_alpha(name, value):
            element.set(key, plain)
    if not above:
        _without_classes(element)
    return element


def _without_classes(element: ET.Element) -> None:
    for each in element.iter():
        each.attrib.pop("class", None)


def _applies(rule: Rule, element: ET.Element, above: Sequence[ET.Element]) -> bool:
    *before, last = rule.parts
    if not _is(element, last):
        return False
    waiting = list(before)
    for ancestor in reversed(above):
        if waiting and _is(ancestor, waiting[-1]):
            waiting.pop()
    return not waiting


def _is(element: ET.Element, simple: Simple) -> bool:
    name, classes = simple
    return (not name or element.tag == name) and classes <= set((element.get("class") or "").split())


def _without_alpha(name: str, value: str) -> list[tuple[str, str]]:
    """`fill: #0b5cad26` as a colour and an opacity, which older programs know."""
    match = _HEX8.fullmatch(value)
    plain = value.removesuffix("px")
    return [(name, f"#{match[1]}"), (f"{name}-opacity", f"{int(match[2], 16) / 255:.3g}")] if match else [(name, plain)]
