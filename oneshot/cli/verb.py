"""What a verb of the command line is, and the flags that every one has. Plain data, nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Flag:
    """A flag that is no setting of the configuration."""

    name: str
    """As typed, without the dashes."""
    help: str
    value: str = ""
    """What follows it: empty for a switch, `[RUN]` when it may be left out."""
    short: str = ""
    """One letter, or none."""
    default: str = ""
    """What an optional value means when left out."""

    @property
    def usage(self) -> str:
        """`-c, --config FILE`."""
        return (f"-{self.short}, " if self.short else "") + f"--{self.name}" + (f" {self.value}" if self.value else "")


@dataclass(frozen=True)
class Verb:
    """One word of the command line."""

    target: str
    """`module:function`; the function takes a `Request` and returns the exit status."""
    help: str
    positional: tuple[str, ...] = ()
    """Words it takes; one in square brackets may be left out, a last one with dots (`[B ...]`) be any number."""
    flags: tuple[Flag, ...] = ()
    settings: tuple[str, ...] = ()
    """What it uses of the configuration, whole sections and single keys; a flag for anything else is refused."""
    short: Mapping[str, str] = field(default_factory=dict)
    """Short names that mean something else here than in `SHORT`."""
    base: str = ""
    """A shipped recipe read before all others."""


COMMON: tuple[Flag, ...] = (
    Flag(
        "config",
        "A recipe: a TOML or YAML file, or the name of a shipped one. Repeatable; a later one wins.",
        "FILE",
        "c",
    ),
    Flag("json", "Print one JSON object on stdout."),
    Flag("quiet", "Say less.", short="q"),
    Flag("verbose", "Say more; show the traceback of an internal error.", short="v"),
    Flag("yes", "Answer every question with yes.", short="y"),
    Flag("offline", "Open no socket."),
    Flag("help", "Show this help.", short="h"),
)
