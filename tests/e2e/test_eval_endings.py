"""`oneshot eval` that is interrupted, finished already, or given a model that cannot be loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oneshot.rollout.native import NativeEngine
from tests.e2e.conftest import OneShot, write_pool

QUICK = ("--max-new-tokens", "6", "--model.threads", "1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("math500", "aime24"):
        write_pool(
            folder / f"{name}.jsonl", [{"id": str(i), "problem": f"{name} {i}?", "answer": "1"} for i in range(4)]
        )
    return folder


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt, 130), (MemoryError, 3)])
def test_what_was_measured_before_a_second_ctrl_c_is_printed(
    oneshot: OneShot, tiny: Path, data: Path, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException], code: int
) -> None:
    words = ("eval", tiny, "--tasks", "math500,aime24", "--data-dir", data, *QUICK, "--json")
    generate = NativeEngine.generate
    asked = 0

    def stopping(self: NativeEngine, prompts: Any, *more: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise raised
        return generate(self, prompts, *more)

    monkeypatch.setattr(NativeEngine, "generate", stopping)
    told = oneshot(*words)
    assert told.code == code
    assert list(told.json["tasks"]) == ["math500"]
    assert "What was measured before is kept in " in told.json["failed"]["aime24"]["kept"]


def test_a_finished_evaluation_is_read_without_torch(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ["eval", str(tiny), "--tasks", "aime24", "--data-dir", str(data), *map(str, QUICK), "--json"]
    first = oneshot(*words)
    code = (
        "import sys; from oneshot.cli.main import main\n"
        f"code = main({words!r})\n"
        "print(code, sorted({'torch', 'transformers', 'datasets'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == first.json
    assert done.stderr.splitlines()[-1] == "0 []"


def test_a_model_that_cannot_be_loaded_is_answered_with_a_line_of_eval(
    oneshot: OneShot, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    told = oneshot("eval", tmp_path / "empty", "--tasks", "aime24", "--data-dir", data, "--offline")
    assert told.code != 0
    assert "try: oneshot eval smollm2-135m --tasks aime24" in told.err
    assert "try: --model " not in told.err


def test_a_finished_evaluation_that_was_asked_otherwise_is_refused(
    oneshot: OneShot, tiny: Path, data: Path, tmp_path: Path
) -> None:
    """Nothing is left to do, so no model is loaded: the check must come before that."""
    out = tmp_path / "out"
    words = ("eval", tiny, "--tasks", "math500", "--data-dir", data, *QUICK, "--out", out)
    assert oneshot(*words).code == 0
    (results,) = out.glob("evals/*/base/results.json")
    body = json.loads(results.read_text("utf-8"))
    body["protocol"]["max_new_tokens"] = 7
    results.write_text(json.dumps(body), "utf-8")
    told = oneshot(*words)
    assert told.code == 2
    assert "E107" in told.err and "max_new_tokens" in told.err
