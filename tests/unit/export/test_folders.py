"""Folders that are whole or absent, the stop ids in them, and what a full disk leaves."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch
from transformers import GenerationConfig

from oneshot.errors import MachineError, UsageError
from oneshot.export import folders
from oneshot.export.merged import plain_weights
from oneshot.model import lora
from oneshot.model.policy import load
from tests.adapted import logits, moved
from tests.parts import tiny_policy
from tests.tiny import save_tiny


def test_nothing_is_left_of_a_folder_that_was_not_filled(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), folders.new_folder(tmp_path / "a" / "out") as made:
        (made / "half").write_text("x")
        raise KeyboardInterrupt
    assert list((tmp_path / "a").iterdir()) == []
    with pytest.raises(MachineError, match="could not be written") as full, folders.new_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert full.value.code == "E202"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(UsageError, match="exists already") as there, folders.new_folder(tmp_path / "out"):
        pass
    assert there.value.code == "E104"
    with pytest.raises(UsageError, match="exists already"), folders.new_folder(tmp_path / "new") as made:
        (made / "mine").write_text("x")
        (tmp_path / "new").write_text("somebody else's")
    assert (tmp_path / "new").read_text() == "somebody else's"
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="exists already"):
        folders.refuse_existing(tmp_path / "link")
    with pytest.raises(UsageError, match="no folder can be made"), folders.new_folder(tmp_path / "new" / "below"):
        pass


def test_the_disk_is_asked_first(tmp_path: Path) -> None:
    folders.check_room(tmp_path / "not" / "yet", 1 << 20, "it", free=1 << 30)
    with pytest.raises(MachineError, match=r"it takes up to 1\.0 GiB and 0\.5 GiB|takes up to") as small:
        folders.check_room(tmp_path, 1 << 30, "it", free=1 << 29)
    assert small.value.code == "E202"
    assert "Nothing was written." in small.value.render()


def test_stop_ids_of_training_are_written_and_other_sampling_is_not(tmp_path: Path) -> None:
    policy = tiny_policy(eos=(0, 7))
    policy.model.generation_config = GenerationConfig(
        eos_token_id=3, pad_token_id=0, repetition_penalty=1.1, do_sample=True, top_k=20
    )
    notes = folders.write_model(policy, tmp_path / "m")
    told = json.loads((tmp_path / "m" / "generation_config.json").read_text())
    assert {key: told[key] for key in ("eos_token_id", "pad_token_id")} == {"eos_token_id": [0, 7], "pad_token_id": 0}
    assert not {"repetition_penalty", "do_sample", "top_k"} & {k for k, v in told.items() if v is not None}
    assert notes == [
        "left out of generation_config.json, since the run drew without them: do_sample, repetition_penalty, top_k"
    ]
    assert sorted(load(str(tmp_path / "m"), home=tmp_path, offline=True).eos_ids) == [0, 7]


def test_merged_weights_say_what_the_adapter_says(tmp_path: Path) -> None:
    policy = load(str(save_tiny(tmp_path)), home=tmp_path, offline=True)
    before = logits(policy)
    adapted = moved(lora.adapt(policy, rank=4))
    wanted = logits(adapted)
    found = plain_weights(adapted, "float32")
    assert float((wanted - before).abs().max()) > 1e-2
    assert float((logits(found.policy) - wanted).abs().max()) < 1e-5
    assert found.notes == ("the adapter was merged into its model in float32",)
    assert found.bytes == 4 * sum(p.numel() for p in found.policy.model.parameters())


def test_a_cast_changes_weights_and_no_buffer() -> None:
    policy = tiny_policy()
    found = plain_weights(policy, "bfloat16")
    assert {p.dtype for p in found.policy.model.parameters()} == {torch.bfloat16}
    assert {b.dtype for b in found.policy.model.buffers()} == {torch.float32}
    assert found.policy.model.get_input_embeddings().weight is found.policy.model.get_output_embeddings().weight
    assert found.notes == ("weights are rounded from float32 to bfloat16",)
