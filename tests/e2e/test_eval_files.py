"""`oneshot eval` on a model whose files are no longer those that were measured, and beside another process."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from oneshot._store.alone import alone
from oneshot.rollout.native import NativeEngine
from tests.e2e.conftest import OneShot, write_pool
from tests.tiny import save_tiny

QUICK = ("--max-new-tokens", "6", "--model.threads", "1")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    rows = [{"id": str(i), "problem": f"math500 {i}?", "answer": "1"} for i in range(4)]
    write_pool(folder / "math500.jsonl", rows)
    return folder


def edit_template(model: Path) -> str:
    path = next(path for path in (model / "chat_template.jinja", model / "tokenizer_config.json") if path.is_file())
    path.write_text(path.read_text("utf-8").replace("<|assistant|>", "<|assistant|> "), "utf-8")
    return path.name


def test_an_edited_chat_template_is_noticed_without_loading_the_model(
    oneshot: OneShot, tiny: Path, data: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    words = ["eval", str(model), "--tasks", "math500", "--data-dir", str(data), *QUICK, "--out", str(tmp_path / "out")]
    assert oneshot(*words).code == 0
    assert oneshot(*words).code == 0
    name = edit_template(Path(model))
    code = (
        "import sys; from oneshot.cli.main import main\n"
        f"code = main({words!r})\n"
        "print(code, sorted({'torch', 'transformers'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "2 []"
    assert f"was measured with other files than {model} holds now: {name} differs." in done.stderr
    tries = [line.strip().removeprefix("try: ") for line in done.stderr.splitlines() if "try: " in line]
    assert tries[0].startswith("mv ") and tries[1].partition("   (")[0] == f"oneshot {shlex.join(words)}"
    subprocess.run(tries[0], shell=True, check=True)
    assert oneshot(*words).code == 0


def test_exchanged_weights_of_a_checkpoint_are_noticed(train: OneShot, oneshot: OneShot, data: Path) -> None:
    run = train("--steps", "1", "--allow-unsolved").run
    words = ("eval", run.path, "--tasks", "math500", "--data-dir", data, *QUICK)
    assert oneshot(*words).code == 0
    recorded = run.read_eval(*next(key for key in run.evals() if key[1] == "checkpoint-1"))[0]["protocol"]["files"]
    assert {"model.safetensors", "tokenizer.json"} <= recorded.keys()
    save_tiny(run.checkpoint_dir(1), seed=3)
    told = oneshot(*words)
    assert (told.code, "model.safetensors differs" in told.err) == (2, True)
    assert "E107" in told.err
    assert f"try: oneshot eval {run.path} --tasks math500" in told.err


def test_two_processes_do_not_measure_the_same(
    oneshot: OneShot, tiny: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("eval", tiny, "--tasks", "math500", "--data-dir", data, *QUICK, "--out", tmp_path / "out")
    generate, told = NativeEngine.generate, list[Any]()

    def meanwhile(self: NativeEngine, *more: Any) -> Any:
        if not told:
            told.append(None)
            told[0] = oneshot(*words)
        return generate(self, *more)

    monkeypatch.setattr(NativeEngine, "generate", meanwhile)
    assert oneshot(*words).code == 0
    assert told[0].code == 2
    assert "E104" in told[0].err and "is being measured by process " in told[0].err
    (folder,) = (tmp_path / "out" / "evals").glob("*/base")
    assert sorted(path.name for path in folder.iterdir()) == ["results.json", "samples.jsonl.gz"]
    with alone(folder, "is being measured", print):
        assert oneshot(*words).code == 0, "what is finished is read all the same"


def test_another_grader_of_recorded_responses_needs_no_model(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "math500", "--data-dir", data, *QUICK, "--json")
    first = oneshot(*words).json

    def never(*given: Any) -> Any:
        raise AssertionError("nothing is sampled")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NativeEngine, "generate", never)
        told = oneshot(*words, "--evals.grader", "math")
    assert told.code == 0, told.err
    assert "are graded by math, and nothing is sampled" in told.err
    assert told.json["protocol"]["responses_of"] == first["recorded_as"] != told.json["recorded_as"]
    assert (told.json["grader"], told.json["responses"]) == ("math", first["responses"])


def test_lines_to_paste_are_those_of_eval(oneshot: OneShot, tiny: Path, data: Path) -> None:
    words = ("eval", tiny, "--tasks", "math500", "--data-dir", data, *QUICK)
    write_pool(data / "math500.jsonl", [{"id": "0", "problem": "1 + " * 200, "answer": "2"}])
    told = oneshot(*words)
    assert (told.code, "E105 math500: " in told.err) == (2, True)
    assert "  try: oneshot eval another-model --tasks math500   (one made for more positions)\n" in told.err
    assert told.err.count("try: ") == 1
    assert "trained" not in told.err
    write_pool(data / "math500.jsonl", [{"id": "0", "problem": "1 + 1", "answer": "2"}])
    short = oneshot(*words, "--rollout.max-prompt-tokens", "5")
    assert short.code == 4
    (line,) = (line for line in short.err.splitlines() if "try: " in line)
    flag, limit = line.partition("try: ")[2].split()
    assert oneshot(*words, flag, limit).code == 0


def test_a_run_may_be_read_with_longer_prompts(train: OneShot, oneshot: OneShot, data: Path) -> None:
    run = train("--steps", "1", "--allow-unsolved", "--rollout.max-prompt-tokens", "40").run
    words = ("eval", run.path, "--tasks", "math500", "--data-dir", data, *QUICK)
    write_pool(data / "math500.jsonl", [{"id": "0", "problem": "1 + " * 20, "answer": "2"}])
    short = oneshot(*words)
    assert short.code == 4
    (line,) = (line for line in short.err.splitlines() if "try: " in line)
    assert oneshot(*words, *line.partition("try: ")[2].split()).code == 0
