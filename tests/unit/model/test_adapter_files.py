"""An adapter's folder: as peft reads and writes it, what is wrong with it, and whether it fits the run."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from safetensors.torch import load_file, save_file

from oneshot._store import folders
from oneshot.errors import DataError, MachineError, OneshotError, UsageError
from oneshot.model import adapters
from oneshot.model.lora import adapt
from oneshot.model.policy import Policy, load, save
from oneshot.train.weights import load_weights
from tests.adapted import IDS, loaded, logits, moved, tiny_qwen2
from tests.tiny import save_tiny

peft_itself = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
"""peft's own wrapper, which is not used outside of tests, asks transformers for something by an old name."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


@peft_itself
def test_saved_as_peft_reads_it(folder: Path, tmp_path: Path) -> None:
    policy = moved(adapt(loaded(folder), rank=4, alpha=6, targets="q_proj,o_proj"))
    saved = tmp_path / "adapter"
    save(policy, saved)
    assert not folders.fault(saved)
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= set(os.listdir(saved))
    assert not (saved / "model.safetensors").exists()
    told = json.loads((saved / "adapter_config.json").read_text())
    assert (told["r"], told["lora_alpha"], told["lora_dropout"], told["peft_type"]) == (4, 6, 0.0, "LORA")
    assert sorted(told["target_modules"]) == ["o_proj", "q_proj"]
    assert told["base_model_name_or_path"] == str(folder)
    theirs = AutoPeftModelForCausalLM.from_pretrained(str(saved)).eval()
    with torch.no_grad():
        assert torch.equal(theirs(input_ids=IDS).logits, logits(policy).cpu())
    again = loaded(saved)
    assert torch.equal(logits(again), logits(policy))
    assert (again.name, again.eos_ids, again.adapted) == (str(saved), policy.eos_ids, True)
    assert again.tokenizer.chat_template == policy.tokenizer.chat_template


@peft_itself
def test_an_adapter_that_peft_wrote_is_read(folder: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    config = LoraConfig(r=2, target_modules=["v_proj"], use_rslora=True, lora_dropout=0.5, task_type="CAUSAL_LM")
    theirs = get_peft_model(loaded(folder).model, config).eval()
    moved(replace(loaded(folder), model=theirs.base_model.model))
    theirs.save_pretrained(tmp_path / "theirs")
    with torch.no_grad():
        assert torch.equal(logits(loaded(tmp_path / "theirs")), theirs(input_ids=IDS).logits.cpu())


def test_an_adapter_gets_no_second_one(folder: Path, tmp_path: Path) -> None:
    save(adapt(loaded(folder), rank=4), tmp_path / "adapter")
    with pytest.raises(UsageError, match="is an adapter already") as caught:
        adapt(loaded(tmp_path / "adapter"), rank=8)
    assert caught.value.code == "E105"
    assert caught.value.tries[0].startswith(f"--model {folder} --model.lora-rank 8")


def test_without_peft_there_is_one_line_to_install_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(adapt(loaded(folder), rank=4), tmp_path / "adapter")
    policy = loaded(folder)
    monkeypatch.setitem(sys.modules, "peft", None)
    calls: Sequence[Callable[[], Policy]] = (lambda: adapt(policy, rank=4), lambda: loaded(tmp_path / "adapter"))
    for call in calls:
        with pytest.raises(MachineError, match="needs the package 'peft'") as caught:
            call()
        assert (caught.value.code, caught.value.exit_code) == ("E204", 3)
        assert caught.value.tries[0] == "pip install 'oneshot-rlvr[lora]'"


def edit(folder: Path, **changes: object) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def cut_a_matrix(folder: Path) -> None:
    saved = load_file(folder / adapters.WEIGHTS)
    name = next(iter(saved))
    save_file({**saved, name: saved[name][:1].contiguous()}, folder / adapters.WEIGHTS)


def lose_a_matrix(folder: Path) -> None:
    saved = load_file(folder / adapters.WEIGHTS)
    del saved[next(iter(saved))]
    save_file(saved, folder / adapters.WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "adapter_config.json").write_text("{"), "cannot be read"),
        (lambda f: edit(f, base_model_name_or_path=None), "names no model"),
        (lambda f: edit(f, use_dora=True), "is LORA with use_dora; only plain LoRA can be used"),
        (lambda f: edit(f, modules_to_save=["lm_head"]), "is LORA with modules_to_save"),
        (lambda f: edit(f, peft_type="IA3", feedforward_modules=[]), "is IA3"),
        (lambda f: edit(f, target_modules=["lm_head"]), "changes lm_head"),
        (lambda f: edit(f, target_modules=["no_such_layer"]), "cannot be loaded"),
        (lambda f: edit(f, r=5), r"does not fit .*is 4x32 there and 5x32 here"),
        (lambda f: (f / adapters.WEIGHTS).unlink(), "cannot be loaded"),
        (lambda f: (f / adapters.WEIGHTS).write_bytes(b"xx"), "cannot be loaded"),
        (cut_a_matrix, "there and .* here"),
        (lose_a_matrix, "is in only one of them"),
    ],
)
@pytest.mark.filterwarnings("ignore:Unexpected keyword arguments")
@pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`")
def test_an_adapter_folder_that_is_of_no_use(
    folder: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    saved = tmp_path / "adapter"
    save(adapt(loaded(folder), rank=4, targets="q_proj"), saved)
    damage(saved)
    with pytest.raises(DataError, match=said) as caught:
        loaded(saved)
    assert (caught.value.code, caught.value.exit_code) == ("E304", 4)


@peft_itself
@pytest.mark.filterwarnings("ignore:Setting .save_embedding_layers:UserWarning")
def test_an_adapter_of_the_output_matrix_is_refused(folder: Path, tmp_path: Path) -> None:
    """It would be passed over: learner and sampler read the matrix itself."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM")
    get_peft_model(loaded(tiny_qwen2(folder)).model, config).save_pretrained(tmp_path / "theirs")
    with pytest.raises(DataError, match=r"changes lm_head, which takes no adapter here") as caught:
        loaded(tmp_path / "theirs")
    assert caught.value.code == "E304"


@pytest.mark.parametrize(
    ("base", "code", "said"),
    [
        ("/no/such/place/tiny", "E304", "there is no model folder /no/such/place/tiny"),
        ("nobody/no-such-model-at-all", "E203", "not in the cache and --offline was given"),
        ("/elsewhere/models/smollm2-135m", "E203", "the embedded model is not in the cache"),
    ],
)
def test_an_adapter_whose_model_is_gone(folder: Path, tmp_path: Path, base: str, code: str, said: str) -> None:
    saved = tmp_path / "adapter"
    save(adapt(loaded(folder), rank=4), saved)
    edit(saved, base_model_name_or_path=base)
    with pytest.raises(OneshotError, match=said) as caught:
        loaded(saved)
    assert caught.value.code == code
    assert caught.value.message.startswith(f"the adapter {saved} belongs to ")
    assert caught.value.tries[0].endswith(f"name its new place in {saved / 'adapter_config.json'}")


def test_an_adapter_of_an_adapter_is_refused(folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "adapter"
    save(adapt(loaded(folder), rank=4), saved)
    edit(saved, base_model_name_or_path=str(saved))
    with pytest.raises(DataError, match="that is an adapter too") as caught:
        loaded(saved)
    assert caught.value.code == "E304"


def test_the_model_may_have_moved_when_its_new_place_is_named(folder: Path, tmp_path: Path) -> None:
    policy = moved(adapt(loaded(folder), rank=4))
    expected = logits(policy)
    save(policy, tmp_path / "adapter")
    shutil.move(folder, tmp_path / "moved")
    edit(tmp_path / "adapter", base_model_name_or_path=str(tmp_path / "moved"))
    assert torch.equal(logits(loaded(tmp_path / "adapter")), expected)


def test_the_embedded_model_is_known_by_its_place_in_the_cache(folder: Path, tmp_path: Path) -> None:
    """So an adapter made on one machine opens on another, where the cache lies elsewhere."""
    old, new = tmp_path / "old", tmp_path / "new"
    for home in (old, new):
        shutil.copytree(folder, home / "models" / "smollm2-135m")
    policy = moved(adapt(load("smollm2-135m", home=old, offline=True), rank=4))
    expected = logits(policy)
    save(policy, tmp_path / "adapter")
    shutil.rmtree(old)
    assert torch.equal(logits(load(str(tmp_path / "adapter"), home=new, offline=True)), expected)


def test_load_weights_puts_a_saved_adapter_into_the_running_one(folder: Path, tmp_path: Path) -> None:
    trained, fresh = moved(adapt(loaded(folder), rank=4, seed=1)), adapt(loaded(folder), rank=4, seed=2)
    save(trained, tmp_path / "checkpoint")
    places = [p.data_ptr() for p in fresh.saved]
    load_weights(fresh.model, tmp_path / "checkpoint")
    assert torch.equal(logits(fresh), logits(trained))
    assert [p.data_ptr() for p in fresh.saved] == places  # in place: the sampler shares them


@pytest.mark.parametrize(
    ("saved", "running", "said"),
    [
        ({"rank": 4}, {"rank": 8}, r"rank 4, .* on a llama .*lora_A.weight is 4x64 there and 8x64 here"),
        ({"rank": 4, "alpha": 4}, {"rank": 4}, "alpha is 4 there and 8 here"),
        ({"rank": 4, "targets": "q_proj"}, {"rank": 4}, "is in only one of them"),
        ({}, {"rank": 4}, r"holds a llama \(.*but the run's model is an adapter \(rank 4, alpha 8, .*\) on a llama"),
        ({"rank": 4}, {}, r"holds an adapter \(rank 4, .*but the run's model is a llama .*: one trains an adapter"),
    ],
)
def test_load_weights_refuses_another_adapter_by_name(
    folder: Path, tmp_path: Path, saved: dict[str, Any], running: dict[str, Any], said: str
) -> None:
    theirs = moved(adapt(loaded(folder), **saved)) if saved else loaded(folder)
    save(theirs, tmp_path / "checkpoint")
    own = adapt(loaded(folder), **running) if running else loaded(folder)
    before = logits(own)
    with pytest.raises(UsageError, match=said) as caught:
        load_weights(own.model, tmp_path / "checkpoint")
    assert caught.value.code == "E107"
    assert torch.equal(logits(own), before)
