"""The whole program on a tiny random model, in this process: `oneshot("train", ...)` gives exit status and output."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oneshot.cli.main import main
from oneshot.record import RunFolder
from oneshot.rewards.extract import last_number
from oneshot.stages import graders
from oneshot.types import Verdict
from tests.tiny import save_tiny

SMALL = ("--model.threads", "1", "--rollout.max-new-tokens", "8", "--evals.max-new-tokens", "10")
HF = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")


@dataclass(frozen=True)
class Told:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Standard output, which must be exactly one JSON object."""
        found: dict[str, Any] = json.loads(self.out)
        assert self.out.count("\n") == 1
        return found

    @property
    def run(self) -> RunFolder:
        """The run folder whose path was printed, last or in the JSON object."""
        path = self.json["run"] if self.out.startswith("{") else self.out.splitlines()[-1]
        return RunFolder.open(path, Path("nowhere"))


OneShot = Callable[..., Told]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random Llama."""
    return save_tiny(tmp_path_factory.mktemp("tiny") / "tiny")


@pytest.fixture
def oneshot(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OneShot:
    """Runs the command line here, in an empty folder; output is caught where the system sees it."""
    monkeypatch.setenv("ONESHOT_HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for name in HF:  # --offline sets them; this takes it back after the test
        monkeypatch.setenv(name, "1")

    def run(*words: str | Path) -> Told:
        capfd.readouterr()
        code = main([str(word) for word in words])
        told = capfd.readouterr()
        assert "Traceback" not in told.err
        return Told(code, told.out, told.err)

    return run


@pytest.fixture
def train(oneshot: OneShot, tiny: Path) -> OneShot:
    """`oneshot train` on one example with the tiny model, as short as it can be; more words may be given."""
    words = ("train", "--model", tiny, "--example", "What is 2 + 3?", "--answer", "5", "--reward", "number")
    return lambda *more: oneshot(*words, *SMALL, "--rollout.groups", "2", "--rollout.group-size", "4", *more)


@pytest.fixture
def graded(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, str], bool]], None]:
    """Replaces every grader by one that finds the last number (else 7) and decides as it is told."""

    def replace(right: Callable[[str, str], bool]) -> None:
        monkeypatch.setattr(graders, "build_verifier", lambda name, timeout: Scripted(name, right))

    return replace


class Scripted:
    """A grader for a model that never says anything sensible."""

    def __init__(self, name: str, right: Callable[[str, str], bool]) -> None:
        self.name = name
        self.right = right

    def __call__(self, response: str, reference: str) -> Verdict:
        correct = response == f"stated {reference}" or self.right(response, reference)
        return Verdict(correct=correct, extracted=last_number(response) or "7", method="scripted")

    def states(self, answer: str) -> Sequence[str]:
        """The response that states an answer."""
        return (f"stated {answer}",)


def one_in(share: int) -> Callable[[str, str], bool]:
    """Right for about one response in `share`, the same ones in every process."""
    return lambda response, reference: zlib.crc32(response.encode("utf-8", "replace")) % share == 0


def write_pool(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """A jsonl file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
