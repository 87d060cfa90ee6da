"""A run folder with nothing but its metrics, followed by trackers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oneshot.export.tracking import Tracking

CONFIG = {"optim": {"lr": 1e-6}, "algorithm": {"options": {"clip_high": 0.3}}, "seed": 0}


class Run:
    """A run folder with nothing but its metrics, and what was said about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "0101-1200-pi1-7f3a"
        self.folder.mkdir()
        self.metrics = self.folder / "metrics.jsonl"
        self.state = self.folder / "tracking.json"
        self.said: list[str] = []

    def write(self, *steps: int, fresh: bool = False, end: str = "\n") -> None:
        rows = [{"step": i, "time": 1.5, "attempt": 1, "reward": i / 8, "entropy": None, "dropped": 0} for i in steps]
        with open(self.metrics, "w" if fresh else "a", encoding="utf-8") as file:
            file.write("\n".join(json.dumps(row) for row in rows) + end)

    def tracking(self, names: str, *, offline: bool = False, config: dict[str, Any] | None = None) -> Tracking:
        made = Tracking(names, metrics=self.metrics, state=self.state, say=self.said.append)
        made.open(name=self.folder.name, config=config or CONFIG, offline=offline)
        return made

    @property
    def kept(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.state.read_text())
        return found
