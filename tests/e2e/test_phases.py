"""What `status.json` says that a run does, while it does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oneshot.record import RunFolder
from oneshot.stages import train as verb
from oneshot.stages.training import session
from oneshot.stages.training.readings import Readings
from tests.e2e.conftest import OneShot, write_pool
from tests.e2e.stopping import SAME, resume


def test_each_phase_is_named_while_it_lasts(
    train: OneShot, oneshot: OneShot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Any, Any]] = []

    def noting(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            status = RunFolder.open("latest", Path("runs")).status()
            seen.append((name, status.get("phase"), status.get("steps")))
            return original(*args, **more)

        return call

    for where, name in ((session, "opening"), (Readings, "dev"), (RunFolder, "step"), (verb, "ended")):
        monkeypatch.setattr(where, name, noting(name, getattr(where, name)))
    held = write_pool(tmp_path / "held.jsonl", [{"prompt": "1 + 1?", "answer": "2"}])
    run = train("--steps", "1", *SAME, "--evals.source", held, "--evals.every", "1").run
    first = [("opening", "preflight", None), ("dev", "evaluating", None), ("step", None, None)]
    assert seen == [*first, ("dev", "evaluating", 1), ("ended", "finishing", 1)]
    assert (run.status()["state"], "phase" in run.status()) == ("done", False)
    seen.clear()
    assert resume(oneshot, run, "--steps", "2").code == 0
    # It reads what may be missing, then does a step more: of two from the moment that it holds the run.
    assert [entry for entry in seen if entry[0] in ("step", "ended")] == [("step", None, 2), ("ended", "finishing", 2)]
    assert {entry[2] for entry in seen} == {2}
