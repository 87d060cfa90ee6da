"""The converter as a child process: where it is found, what it supports, what is said when it fails."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from oneshot.errors import DataError, MachineError, UsageError
from oneshot.export import gguf

FAKE = """import pathlib, sys
words = sys.argv[1:]
if words == ["--print-supported-models"]:
    if {lists!r}:
        print("ERROR:hf-to-gguf:TEXT models:", "ERROR:hf-to-gguf:  - LlamaForCausalLM", sep="\\n", file=sys.stderr)
        sys.exit(0)
    sys.exit("unknown argument")
folder = pathlib.Path(words[0])
for line in {says!r}:
    print(line)
if {status!r}:
    sys.exit({status!r})
kind = words[words.index("--outtype") + 1]
pathlib.Path(words[words.index("--outfile") + 1]).write_text(f"{{folder.name}} {{kind}}")
"""


def converter(folder: Path, *, lists: bool = True, says: tuple[str, ...] = (), status: int = 0) -> Path:
    """A script that behaves as llama.cpp's does."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / gguf.SCRIPT
    path.write_text(FAKE.format(lists=lists, says=list(says), status=status), "utf-8")
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps({"architectures": ["OddForCausalLM"]}))
    return tmp_path / "model"


def test_the_file_asked_for_then_the_folder_then_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = converter(tmp_path / "one"), converter(tmp_path / "two")
    three = converter(tmp_path / "three")
    three.chmod(0o755)
    monkeypatch.setenv("PATH", str(three.parent))
    python = sys.executable
    assert gguf.find(str(one), home=str(two.parent)).command == (python, str(one))
    assert gguf.find(str(one.parent), home=str(two.parent)).command == (python, str(one))
    assert gguf.find(home=str(two.parent)).command == (python, str(two))
    assert gguf.find(home=str(two)).command == (python, str(two))
    assert gguf.find(home=str(tmp_path / "nowhere")).command == (str(three),)
    assert gguf.find().place == three


def test_without_a_converter_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="neither LLAMA_CPP nor PATH has it") as missing:
        gguf.find()
    assert (missing.value.code, missing.value.exit_code) == ("E204", 3)
    assert "git clone --depth 1 https://github.com/ggml-org/llama.cpp" in missing.value.tries[0]
    with pytest.raises(UsageError, match="there is no converter"):
        gguf.find(str(tmp_path / "gone.py"))


def test_what_it_does_not_support_is_refused_beforehand(tmp_path: Path) -> None:
    found = gguf.find(str(converter(tmp_path)))
    assert gguf.supported(found) == ["LlamaForCausalLM"]
    gguf.check_architecture(found, ["LlamaForCausalLM"])
    with pytest.raises(DataError, match="does not support OddForCausalLM"):
        gguf.check_architecture(found, ["OddForCausalLM"])


def test_a_converter_that_does_not_list_is_asked_by_converting(tmp_path: Path, model: Path) -> None:
    says = ("INFO loading", "ERROR:hf-to-gguf:Model OddForCausalLM is not supported")
    found = gguf.find(str(converter(tmp_path / "c", lists=False, says=says, status=1)))
    assert gguf.supported(found) == []
    gguf.check_architecture(found, ["OddForCausalLM"])
    with pytest.raises(DataError, match="does not support OddForCausalLM"):
        gguf.convert(found, model, tmp_path / "out.gguf", "f32")


def test_it_converts(tmp_path: Path, model: Path) -> None:
    found = gguf.find(str(converter(tmp_path / "c")))
    gguf.convert(found, model, tmp_path / "out.gguf", "q8_0")
    assert (tmp_path / "out.gguf").read_text() == "model q8_0"


def test_the_last_lines_of_a_failure_are_shown(tmp_path: Path, model: Path) -> None:
    lines = tuple(f"line {i}" for i in range(30))
    found = gguf.find(str(converter(tmp_path / "c", says=lines, status=3)))
    with pytest.raises(DataError, match="ended with status 3") as failed:
        gguf.convert(found, model, tmp_path / "out.gguf", "f32")
    assert "    line 29" in failed.value.message
    assert "    line 18" in failed.value.message
    assert "line 17" not in failed.value.message


def test_a_converter_that_writes_nothing_has_failed(tmp_path: Path, model: Path) -> None:
    script = tmp_path / "silent.py"
    script.write_text("")
    with pytest.raises(DataError, match="wrote no file"):
        gguf.convert(gguf.find(str(script)), model, tmp_path / "out.gguf", "f32")


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    broken = gguf.Converter(command=(str(tmp_path / "gone"),), place=tmp_path / "gone")
    with pytest.raises(MachineError, match="cannot be started"):
        gguf.supported(broken)


def test_types() -> None:
    gguf.check_type("q8_0")
    with pytest.raises(UsageError, match="'q4' is not f32, f16, bf16, q8_0, auto"):
        gguf.check_type("q4")


def test_the_real_converter_lists_llama_where_there_is_one() -> None:
    try:
        found = gguf.find(home=os.environ.get("LLAMA_CPP", ""))
    except MachineError as missing:  # no skip: what is said then is tested too
        assert gguf.SCRIPT in missing.message
        return
    assert "LlamaForCausalLM" in gguf.supported(found)
