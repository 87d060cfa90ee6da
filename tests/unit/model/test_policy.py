"""Loading and saving a policy, and what is said about folders that hold none."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GemmaConfig, LlamaConfig, MistralConfig, Qwen2Config

from oneshot.errors import DataError, MachineError
from oneshot.model import policy as policies
from oneshot.model.policy import Policy, attends_to_everything, dtype_of, load, save, set_threads
from tests.parts import files_of_at_most, tiny_policy
from tests.tiny import save_tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


def loaded(folder: Path, **options: Any) -> Policy:
    return load(str(folder), home=folder, offline=True, **options)


def test_load(folder: Path) -> None:
    policy = loaded(folder)
    assert policy.name == str(folder)
    assert policy.eos_ids == {0}
    assert not policy.model.training
    assert policy.head.shape == (260, 32)
    assert policy.head is policy.model.get_input_embeddings().weight  # tied
    assert policy.head.dtype == torch.float32
    assert policy.model.config._attn_implementation == "sdpa"
    assert policy.decode([*policy.tokenizer("a b")["input_ids"], 0]) == "a b"
    assert policy.device == next(policy.decoder.parameters()).device


def test_dtype(folder: Path) -> None:
    assert loaded(folder, dtype="bfloat16").head.dtype == torch.bfloat16
    cpu = torch.device("cpu")
    assert [dtype_of(name, cpu) for name in ("auto", "float32")] == [torch.float32] * 2
    with pytest.raises(DataError, match="'float8' is not auto, float32 or bfloat16") as caught:
        dtype_of("float8", cpu)
    assert caught.value.code == "E103"


@pytest.mark.parametrize(("ids", "expected"), [(5, {5}), ([0, 7, 9], {0, 7, 9}), (None, {0})])
def test_every_end_id_of_the_generation_config_counts(folder: Path, ids: object, expected: set[int]) -> None:
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ids}))
    assert loaded(folder).eos_ids == expected


def test_a_model_that_names_no_end_is_refused() -> None:
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=None))
    with pytest.raises(DataError, match="no response can end") as caught:
        policies._eos_ids(model, SimpleNamespace(eos_token_id=None))
    assert caught.value.code == "E304"


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def cut_short(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


def lose_a_matrix(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.self_attn.q_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "config.json").unlink(), "it has no config.json"),
        (lambda f: (f / "model.safetensors").unlink(), "no file named model.safetensors"),
        (lambda f: (f / "tokenizer.json").write_text("{"), "cannot be loaded"),
        (lambda f: edit_config(f, model_type="t5"), "Unrecognized configuration class"),
        (lambda f: edit_config(f, model_type="no-such-architecture"), "cannot be loaded"),
        (lambda f: edit_config(f, hidden_size=64), "cannot be loaded"),
        (cut_short, "incomplete metadata"),
        (lose_a_matrix, r"no weights for model.layers.1.self_attn.q_proj.weight \(1 missing\)"),
    ],
)
def test_a_folder_without_a_usable_model(folder: Path, damage: Callable[[Path], object], said: str) -> None:
    damage(folder)
    with pytest.raises(DataError, match=said) as caught:
        loaded(folder)
    assert (caught.value.code, caught.value.exit_code) == ("E304", 4)


@pytest.mark.parametrize("name", ["./no-such-folder", "/no/such/folder", "no/such/folder"])
def test_a_path_where_there_is_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=f"there is no model folder {name}") as caught:
        load(name, home=tmp_path, offline=True)
    assert caught.value.code == "E304"


def test_a_hub_name_offline(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="not in the cache and --offline was given") as caught:
        load("nobody/no-such-model-at-all", home=tmp_path, offline=True)
    assert (caught.value.code, caught.value.exit_code) == ("E203", 3)
    assert any(line.startswith("--model smollm2-135m") for line in caught.value.tries)


def test_save_and_load_again(tmp_path: Path) -> None:
    policy = tiny_policy(seed=4)
    save(policy, tmp_path / "deep" / "copy")
    again = loaded(tmp_path / "deep" / "copy")
    for name, tensor in policy.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name].cpu(), tensor), name
    assert again.eos_ids == policy.eos_ids
    assert again.tokenizer.chat_template == policy.tokenizer.chat_template
    assert os.listdir(tmp_path / "deep") == ["copy"]
    assert (tmp_path / "deep" / "copy").stat().st_mode & 0o777 == 0o755


def test_saving_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    save(tiny_policy(seed=4), tmp_path / "copy")
    (tmp_path / "copy" / "stale").touch()
    save(tiny_policy(seed=5), tmp_path / "copy")
    assert not (tmp_path / "copy" / "stale").exists()
    assert torch.equal(loaded(tmp_path / "copy").head.cpu(), tiny_policy(seed=5).head)


def test_a_disk_that_fills_up_leaves_the_older_checkpoint_whole(tmp_path: Path) -> None:
    save(tiny_policy(seed=4), tmp_path / "copy")
    with files_of_at_most(20_000), pytest.raises(MachineError, match="copy could not be written") as caught:
        save(tiny_policy(seed=5), tmp_path / "copy")
    assert (caught.value.code, caught.value.exit_code) == ("E202", 3)
    assert os.listdir(tmp_path) == ["copy"]
    assert torch.equal(loaded(tmp_path / "copy").head.cpu(), tiny_policy(seed=4).head)


def test_a_full_disk_as_the_system_reports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny_policy()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(policy.tokenizer, "save_pretrained", full)
    with pytest.raises(MachineError, match="No space left on device") as caught:
        save(policy, tmp_path / "copy")
    assert caught.value.code == "E202"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("config", "everything"),
    [
        (LlamaConfig(), True),
        (Qwen2Config(), True),
        (Qwen2Config(use_sliding_window=True, max_window_layers=1, num_hidden_layers=2), False),
        (MistralConfig(sliding_window=4096), False),
        (MistralConfig(sliding_window=None), True),
        (GemmaConfig(), False),  # not looked at, so padded
    ],
)
def test_which_models_attend_to_everything(config: Any, everything: bool) -> None:
    policy = Policy(model=SimpleNamespace(config=config), tokenizer=None, eos_ids=frozenset({0}), name="x")
    assert attends_to_everything(policy) is everything


def test_threads() -> None:
    before = torch.get_num_threads()
    try:
        assert set_threads(3) == 3 == torch.get_num_threads()
        assert set_threads(0) == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    finally:
        torch.set_num_threads(before)
