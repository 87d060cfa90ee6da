"""Where the keys of a study file stand, and whether they are known, so that an error names its line. Loads no torch."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oneshot.config.names import closest
from oneshot.config.sources import flatten
from oneshot.errors import UsageError

Types = Mapping[str, tuple[type, ...]]
"""Key -> the types its value may have."""
_KINDS = {str: "text", int: "a whole number", list: "a list", dict: "a table", bool: "true or false"}


@dataclass(frozen=True)
class Lines:
    """A file's name and the line of each of its keys."""

    name: str
    places: Mapping[str, int]
    """`claim`, `base.optim.steps`, `arm 2.set.algorithm.kl` -> line; tables of an array count from 0."""

    @classmethod
    def of(cls, name: str, text: str) -> Lines:
        """Those of a text that is TOML."""
        return cls(name, dict(_lines(text)))

    def at(self, place: str) -> str:
        """`study.toml line 12`, as far as the line is known."""
        return f"{self.name} line {self.places[place]}" if place in self.places else self.name

    def check(self, table: Any, known: Types, above: str = "") -> None:
        """Refuse what is no table (E103), unknown keys (E101) and values of the wrong type (E103)."""
        if not isinstance(table, dict):
            raise UsageError(
                f"{self.at(above[:-1])}: {above.split()[0]} is a table: [[{above.split()[0]}]].", code="E103"
            )
        for key, value in table.items():
            where = self.at(above + key)
            if key not in known:
                near = closest(key, known)
                hint = f" Did you mean {near!r}?" if near else f" Known: {', '.join(known)}."
                raise UsageError(f"{where}: unknown key {key}.{hint}", code="E101")
            if type(value) not in known[key]:
                raise UsageError(f"{where}: {key} = {value!r} is not {_KINDS[known[key][0]]}.", code="E103")


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """(place, line) of every key.

    tomllib gives no line numbers, so each statement is also parsed by itself; an incomplete one never parses.
    """
    header, statement, start = "", "", 0
    above, counts = "", dict[str, int]()
    for number, line in enumerate(text.split("\n"), 1):
        start = start if statement else number
        statement += line + "\n"
        try:
            alone = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue
        if statement.lstrip().startswith("["):
            header, first = statement.strip(), next(iter(alone))
            if header.startswith("[["):
                counts[first] = counts.get(first, -1) + 1
            above = f"{first} {counts[first]}" if first in counts else ""
            yield above or first, start
        elif alone:
            inner = tomllib.loads(f"{header}\n{statement}")
            for path, _ in flatten({key: value[0] if _tables(value) else value for key, value in inner.items()}):
                place = ".".join((above, *path[1:]) if above else path)
                yield place, start
                yield ".".join(place.split(".")[: 2 if above else 1]), start
        statement = ""


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
