"""Where each value of the configuration came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from oneshot.config.names import KEYS
from oneshot.config.schema import Config

DEFAULT = "default"


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A checked configuration and the origin of every value."""

    config: Config
    origins: Mapping[str, str]
    """Dotted key -> `default`, `file recipe.toml:12`, `environment ONESHOT_OPTIM__LR` or `flag --optim.lr`.
    The algorithm's own options appear as `algorithm.NAME`, the curriculum's as `data.curriculum_options.NAME`."""


def value_of(config: Config, key: str) -> Any:
    """The value of a dotted key; `algorithm.NAME` also finds the algorithm's own options, and so for a curriculum's."""
    section, _, name = key.rpartition(".")
    if section == "data.curriculum_options":
        return config.data.curriculum_options[name]
    if section == "algorithm" and name in config.algorithm.options:
        return config.algorithm.options[name]
    return getattr(getattr(config, section) if section else config, name)


def table(resolved: Resolved) -> list[tuple[str, Any, str]]:
    """(key, value, origin) of every key, in the order of the schema; own options follow their section."""
    own = {
        "algorithm": [f"algorithm.{name}" for name in resolved.config.algorithm.options],
        "data": [f"data.curriculum_options.{name}" for name in resolved.config.data.curriculum_options],
    }
    keys = list(KEYS)
    for section, options in own.items():
        after = max(i for i, key in enumerate(keys) if key.startswith(f"{section}.")) + 1
        keys[after:after] = options
    return [(key, value_of(resolved.config, key), resolved.origins.get(key, DEFAULT)) for key in keys]


def format_table(resolved: Resolved) -> str:
    """`table` as aligned text, one line a key, values written as in TOML."""
    rows = [(key, show(value), origin) for key, value, origin in table(resolved)]
    width = max(len(key) for key, *_ in rows)
    room = min(40, max(len(value) for _, value, _ in rows))
    return "\n".join(f"{key:<{width}}  {value:<{room}}  {origin}" for key, value, origin in rows)


def show(value: Any) -> str:
    """A value as it is written in a recipe: `"text"`, `true`, `1e-06`."""
    if isinstance(value, str):
        # A question may hold line breaks and terminal escapes; repr keeps it on one line and harmless.
        return '"' + repr(value)[1:-1].replace('"', '\\"') + '"' if value else '""'
    return str(value).lower() if isinstance(value, bool) else str(value)
