"""What a model's answers depend on is told by its files: weights, tokenizer, chat template; and nothing is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from oneshot._store import folders
from oneshot.errors import UsageError
from oneshot.stages.evals import model_files
from oneshot.stages.evals.model_files import check, differing, digests, fingerprint, written
from tests.tiny import save_tiny
from tests.unit.stages.evaluating import folder
from tests.unit.store.samples import eval_row


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("made") / "tiny")


@pytest.fixture
def model(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "model"))


def edit_template(model: Path) -> str:
    """Change how a prompt is put; returns the file."""
    path = next(path for path in (model / "chat_template.jinja", model / "tokenizer_config.json") if path.is_file())
    path.write_text(path.read_text("utf-8").replace("<|assistant|>", "<|assistant|> "), "utf-8")
    return path.name


def test_every_file_that_matters_is_told_apart(model: Path) -> None:
    before = digests(model)
    assert {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json"} <= before.keys()
    assert all(len(digest) == 16 for digest in before.values())
    (model / "README.md").write_text("about")
    assert digests(model) == before
    name = edit_template(model)
    assert differing(before, digests(model)) == [f"{name} differs"]
    (model / "tokenizer.json").unlink()
    (model / "added_tokens.json").write_text("{}")
    told = sorted(["added_tokens.json is new", "tokenizer.json is gone", f"{name} differs"])
    assert differing(before, digests(model)) == told


def test_a_model_that_is_no_folder_has_no_files() -> None:
    assert digests(Path("Qwen/Qwen2.5-Math-1.5B")) == {}
    assert digests(Path("smollm2-135m")) == {}


def test_a_large_file_is_told_by_size_and_blocks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "WHOLE", 100)
    before, weights = digests(model), model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1  # the file is smaller than all blocks together, so every byte is read
    weights.write_bytes(data)
    assert differing(before, digests(model)) == ["model.safetensors differs"]


def test_the_fingerprint_of_a_folder_is_of_its_weights_alone(model: Path) -> None:
    before = fingerprint(model)
    edit_template(model)
    assert fingerprint(model) == before, "folders of results made by an earlier version stay this model's"
    save_tiny(model, seed=1)
    assert fingerprint(model) != before


def test_an_adapter_brings_the_model_it_belongs_to(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(model)}))
    before = digests(adapter)
    assert {"adapter_config.json", "base/model.safetensors"} <= before.keys()
    name = edit_template(model)
    assert differing(before, digests(adapter)) == [f"base/{name} differs"]
    store = folder(tmp_path / "e")
    store.write_eval("sums", "base", {"protocol": {"files": before}}, [eval_row("a")])
    shutil.rmtree(model)
    check(store, "sums", "base", adapter, digests(adapter), again=())  # it is not here, which is no exchange
    (adapter / "adapter_config.json").write_text("{")
    assert digests(adapter).keys() == {"adapter_config.json"}


def test_a_recorded_evaluation_of_other_files_is_refused(model: Path, tmp_path: Path) -> None:
    store, again = folder(tmp_path / "e"), ("oneshot eval here",)
    store.write_eval("sums", "base", {"protocol": {"files": digests(model)}}, [eval_row("a")])
    check(store, "sums", "base", model, digests(model), again=again)
    name = edit_template(model)
    with pytest.raises(UsageError) as caught:
        check(store, "sums", "base", model, digests(model), again=again)
    at = store.eval_dir("sums", "base")
    assert caught.value.code == "E107"
    assert caught.value.message == f"{at} was measured with other files than {model} holds now: {name} differs."
    assert caught.value.tries == (f"mv {at} {at}.old", *again)
    check(store, "sums", "base", Path("m"), {}, again=again)  # not on this machine


def test_one_that_says_nothing_of_files_is_compared_with_the_checkpoints_own_checksums(
    model: Path, tmp_path: Path
) -> None:
    store = folder(tmp_path / "e")
    store.write_eval("sums", "base", {"protocol": {}}, [eval_row("a")])
    edit_template(model)
    check(store, "sums", "base", model, digests(model), again=())  # nothing is known
    assert written(model) == {}
    folders.seal(model)
    assert written(model) == digests(model)
    check(store, "sums", "base", model, digests(model), again=())
    save_tiny(model, seed=1)
    with pytest.raises(UsageError, match=r"model\.safetensors differs"):
        check(store, "sums", "base", model, digests(model), again=())
    (model / folders.CHECKSUMS).write_text("[]")
    check(store, "sums", "base", model, digests(model), again=())
