"""What the command line hands to a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oneshot.config.schema import Config


@dataclass(frozen=True, kw_only=True)
class Request:
    """One parsed command. A stage reads this and nothing else of the outside: no argv, no environment."""

    verb: str
    positional: tuple[str, ...] = ()
    """Words that are not flags, e.g. the run of `oneshot report RUN`; their number was checked."""
    config: Config = Config()
    origins: Mapping[str, str] = field(default_factory=dict)
    """Dotted key -> `default`, `file recipe.toml:12`, `environment ONESHOT_OPTIM__LR` or `flag --optim.lr`."""
    verb_flags: Mapping[str, Any] = field(default_factory=dict)
    """Flags that are no settings, only those given, as text: `full`, `fetch` (True), `resume` (a run or `latest`),
    `fail_under` (task -> least value; the key is empty where no task was named)."""
    json: bool = False
    """Print one JSON object on stdout and nothing else there."""
    quiet: bool = False
    verbose: bool = False
    yes: bool = False
    """Answer every question with yes."""
    offline: bool = False
    """Open no socket; `--offline` or ONESHOT_OFFLINE."""
    dry_run: bool = False
    """Print what would be done, with the origin of each value, and stop."""
    argv: tuple[str, ...] = ()
    """The arguments as typed, without the program's name."""

    def given(self, key: str) -> bool:
        """Whether anything but the default set this dotted key."""
        return self.origins.get(key, "default") != "default"
