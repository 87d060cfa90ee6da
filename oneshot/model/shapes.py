"""How large a model is, from its `config.json` or a shipped table: no weights, no torch, no network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.errors import DataError

_KNOWN_TYPES = ("llama", "mistral", "qwen2", "qwen3")
ADAPTER_CONFIG = "adapter_config.json"
"""The file that makes a folder an adapter's, in peft's format."""


@dataclass(frozen=True, kw_only=True)
class Shapes:
    """The sizes of a decoder-only model; `params` counts a tied output matrix once."""

    params: int
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    mlp: int
    tied: bool
    context: int
    """Positions it was made for; 0 where the source does not say."""
    source: str
    """Where the numbers come from."""


def shapes_of(
    *,
    layers: int,
    hidden: int,
    heads: int,
    kv_heads: int,
    vocab: int,
    mlp: int,
    tied: bool,
    source: str,
    head_dim: int = 0,
    context: int = 0,
    qkv_bias: bool = False,
    output_bias: bool = False,
    head_norms: bool = False,
) -> Shapes:
    """Shapes with the parameters counted for a Llama-style decoder (gated MLP, two RMS norms a layer, one at the end).

    `head_dim` 0 means hidden / heads. `qkv_bias`: query, key and value projections have a bias (Qwen2);
    `output_bias`: so has the output projection (Llama with `attention_bias`); `head_norms`: an RMS norm over the head
    size for queries and one for keys (Qwen3). The others are as in `Shapes`.
    """
    head_dim = head_dim or hidden // heads
    queries, keys = heads * head_dim, kv_heads * head_dim
    attention = 2 * hidden * queries + 2 * hidden * keys
    biases = qkv_bias * (queries + 2 * keys) + output_bias * hidden + head_norms * 2 * head_dim
    layer = attention + biases + 3 * hidden * mlp + 2 * hidden
    params = vocab * hidden * (1 if tied else 2) + layers * layer + hidden
    return Shapes(
        params=params,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=vocab,
        mlp=mlp,
        tied=tied,
        context=context,
        source=source,
    )


# From its own config.json, as unpacked from the wheel.
_SMOLLM2 = shapes_of(
    layers=30, hidden=576, heads=9, kv_heads=3, head_dim=64, vocab=49152, mlp=1536, tied=True, context=8192,
    source="shipped table (the model's config.json)",
)  # fmt: skip
# Read in the config.json of a public derivative; the count agrees with the 1.54 B the model is published with.
_QWEN_MATH = shapes_of(
    layers=28, hidden=1536, heads=12, kv_heads=2, vocab=151936, mlp=8960, tied=True, context=4096, qkv_bias=True,
    source="shipped table (config.json of a public derivative)",
)  # fmt: skip

TABLE: dict[str, Shapes] = {
    "smollm2-135m": _SMOLLM2,
    "HuggingFaceTB/SmolLM2-135M-Instruct": _SMOLLM2,
    "Qwen/Qwen2.5-Math-1.5B": _QWEN_MATH,
}
"""Models whose shapes are known without a file; each with its source. A model that is not here is unknown."""


def adapter_base(folder: Path) -> str:
    """The model that an adapter's folder belongs to, as its `adapter_config.json` names it.

    Raises:
        DataError: E304 when that file cannot be read or names none.
    """
    file = folder / ADAPTER_CONFIG
    try:
        base = json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{file} cannot be read as an adapter's configuration: {error!r}", code="E304") from error
    if not (isinstance(base, str) and base):
        raise DataError(f"{file} names no model that the adapter belongs to.", code="E304")
    return base


def lookup(model_name: str) -> Shapes | None:
    """Shapes of a local folder (its `config.json`) or of a model in `TABLE`; None, unknown, otherwise. Never guessed.

    An adapter's folder has the shapes of the model it belongs to.

    Raises:
        DataError: E304 when the folder's `config.json` or `adapter_config.json` cannot be read.
    """
    folder = Path(model_name).expanduser()
    file = folder / "config.json"
    if (folder / ADAPTER_CONFIG).is_file():
        base = adapter_base(folder)
        nested = (Path(base) / ADAPTER_CONFIG).is_file()  # loading refuses it
        return None if nested else lookup(base) or TABLE.get(Path(base).name)
    if not file.is_file():
        return TABLE.get(model_name)
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return _from_config(values, str(file)) if isinstance(values, dict) else None
    except (OSError, ValueError, TypeError, ZeroDivisionError) as error:
        raise DataError(
            f"{file} cannot be read as a model's configuration: {error}", code="E304", tries=("--model smollm2-135m",)
        ) from error


def _from_config(values: dict[str, Any], source: str) -> Shapes | None:
    """Shapes of a Hugging Face `config.json` of a family whose parameters we can count; None for any other."""
    kind = values.get("model_type")
    needed = ("num_hidden_layers", "hidden_size", "num_attention_heads", "vocab_size", "intermediate_size")
    if kind not in _KNOWN_TYPES or any(name not in values for name in needed):
        return None
    bias = bool(values.get("attention_bias", False))
    heads = int(values["num_attention_heads"])
    return shapes_of(
        layers=int(values["num_hidden_layers"]),
        hidden=int(values["hidden_size"]),
        heads=heads,
        kv_heads=int(values.get("num_key_value_heads") or heads),
        head_dim=int(values.get("head_dim") or 0),
        vocab=int(values["vocab_size"]),
        mlp=int(values["intermediate_size"]),
        tied=bool(values.get("tie_word_embeddings", False)),  # the default of all these families
        context=int(values.get("max_position_embeddings") or 0),
        qkv_bias=kind == "qwen2" or bias,
        output_bias=bias,
        head_norms=kind == "qwen3",
        source=source,
    )
