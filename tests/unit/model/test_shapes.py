from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oneshot.errors import DataError
from oneshot.model.shapes import TABLE, lookup

TINY: dict[str, Any] = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 48,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 80,
    "vocab_size": 100,
    "tie_word_embeddings": True,
    "max_position_embeddings": 64,
}


def folder(tmp_path: Path, **values: Any) -> str:
    (tmp_path / "config.json").write_text(json.dumps({**TINY, **values}))
    return str(tmp_path)


def test_smollm2_by_hand() -> None:
    # 49,152 x 576 embeddings; 30 layers of q, o (576 x 576), k, v (576 x 192), 3 x 576 x 1,536, 2 norms; last norm.
    assert 49152 * 576 + 30 * (2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536 + 2 * 576) + 576 == 134_515_008
    shapes = lookup("smollm2-135m")
    assert shapes is not None
    assert shapes.params == 134_515_008
    assert (shapes.layers, shapes.hidden, shapes.heads, shapes.kv_heads, shapes.head_dim) == (30, 576, 9, 3, 64)


def test_qwen_by_hand() -> None:
    # As above with biases on q, k, v (1,536 + 2 x 256): 1.54 B, the size it is published with.
    layer = 2 * 1536 * 1536 + 2 * 1536 * 256 + 1536 + 2 * 256 + 3 * 1536 * 8960 + 2 * 1536
    shapes = lookup("Qwen/Qwen2.5-Math-1.5B")
    assert shapes is not None
    assert shapes.params == 151936 * 1536 + 28 * layer + 1536 == 1_543_714_304


def test_every_entry_of_the_table_has_a_source() -> None:
    assert all(shapes.source for shapes in TABLE.values())


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-7B", "smollm2", "", "no/such/folder"])
def test_what_is_not_known_is_unknown(name: str) -> None:
    assert lookup(name) is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False},
        {"head_dim": None, "num_attention_heads": 4},
        {"num_key_value_heads": None},
        {"attention_bias": True},
        {"model_type": "mistral"},
        {"model_type": "qwen2", "num_attention_heads": 3, "num_key_value_heads": 1},
        {"model_type": "qwen3"},
        {"model_type": "qwen3", "attention_bias": True},
    ],
)
def test_the_count_is_that_of_the_real_model(tmp_path: Path, changes: dict[str, Any]) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    name = folder(tmp_path, **{k: v for k, v in changes.items() if v is not None})
    if None in changes.values():
        values = {k: v for k, v in {**TINY, **changes}.items() if v is not None}
        (tmp_path / "config.json").write_text(json.dumps(values))
    shapes = lookup(name)
    assert shapes is not None
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(name))
    assert shapes.params == sum(p.numel() for p in model.parameters())
    assert shapes.source == str(tmp_path / "config.json")


@pytest.mark.parametrize("changes", [{"model_type": "mixtral"}, {"model_type": None}])
def test_a_family_we_cannot_count_is_unknown(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert lookup(folder(tmp_path, **changes)) is None


def test_a_config_that_lacks_a_size_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in TINY.items() if k != "vocab_size"}))
    assert lookup(str(tmp_path)) is None


@pytest.mark.parametrize("text", ["{", "\x00", '{"model_type": "llama"'])
def test_a_broken_config_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError) as caught:
        lookup(str(tmp_path))
    assert caught.value.code == "E304"


def test_a_local_folder_wins_over_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "smollm2-135m").mkdir()
    folder(tmp_path / "smollm2-135m")
    shapes = lookup("smollm2-135m")
    assert shapes is not None
    assert shapes.hidden == 48
