"""Which linear layers get an adapter, and how many numbers that is: from names and shapes alone, without torch."""

from __future__ import annotations

from collections.abc import Sequence

from oneshot.config.names import closest
from oneshot.config.schema import ModelConfig
from oneshot.errors import UsageError
from oneshot.model.shapes import Shapes

ALL = "all-linear"
"""Every linear layer of the decoder; the output matrix is none of them."""


def words(targets: str) -> list[str]:
    """`"q_proj, v_proj"` as a list, each once."""
    return list(dict.fromkeys(word.strip() for word in targets.split(",") if word.strip()))


def chosen(targets: str, linear: Sequence[str]) -> list[str]:
    """The layers that `targets` names, in the order of `linear`.

    Args:
        targets: `all-linear`, or names separated by commas: the last part of a layer's name (`q_proj`), or more of its
            end (`self_attn.q_proj`, `model.layers.0.self_attn.q_proj`).
        linear: full names of the decoder's linear layers.

    Raises:
        UsageError: E103 for a word that names none of them, with the nearest name that does.
    """
    asked = words(targets)
    if asked == [ALL]:
        return list(linear)
    for word in asked:
        if not any(_matches(name, word) for name in linear):
            raise _unknown(word, linear)
    return [name for name in linear if any(_matches(name, word) for word in asked)]


def short_names(wanted: Sequence[str], every: Sequence[str]) -> list[str]:
    """`wanted` as few last parts, where those mean exactly these of `every` module's names; else as it is."""
    last = sorted({name.rpartition(".")[2] for name in wanted})
    meant = [name for name in every if any(_matches(name, word) for word in last)]
    return last if set(meant) == set(wanted) else list(wanted)


def linear_sizes(shapes: Shapes) -> dict[str, tuple[int, int]]:
    """(inputs, outputs) of every linear layer of a Llama-style decoder by its full name."""
    hidden, mlp = shapes.hidden, shapes.mlp
    queries, keys = shapes.heads * shapes.head_dim, shapes.kv_heads * shapes.head_dim
    layer = {
        "self_attn.q_proj": (hidden, queries),
        "self_attn.k_proj": (hidden, keys),
        "self_attn.v_proj": (hidden, keys),
        "self_attn.o_proj": (queries, hidden),
        "mlp.gate_proj": (hidden, mlp),
        "mlp.up_proj": (hidden, mlp),
        "mlp.down_proj": (mlp, hidden),
    }
    return {f"model.layers.{i}.{name}": size for i in range(shapes.layers) for name, size in layer.items()}


def adapted_sizes(shapes: Shapes, model: ModelConfig) -> list[tuple[int, int]]:
    """(inputs, outputs) of every layer that gets an adapter; none without `model.lora_rank`."""
    sizes = linear_sizes(shapes) if model.lora_rank else {}
    return [sizes[name] for name in chosen(model.lora_targets, list(sizes))] if sizes else []


def adapter_params(shapes: Shapes, model: ModelConfig) -> int:
    """Numbers in the adapter: rank x (inputs + outputs) a layer; 0 without one."""
    return sum(model.lora_rank * (inputs + outputs) for inputs, outputs in adapted_sizes(shapes, model))


def saved_params(shapes: Shapes, model: ModelConfig) -> int:
    """Numbers in a checkpoint: the adapter where there is one, else every weight."""
    return adapter_params(shapes, model) if model.lora_rank else shapes.params


def _matches(name: str, word: str) -> bool:
    return name == word or name.endswith(f".{word}")


def _unknown(word: str, linear: Sequence[str]) -> UsageError:
    last = sorted({name.rpartition(".")[2] for name in linear})
    near = closest(word.rpartition(".")[2], last, cutoff=0.5)
    return UsageError(
        f"model.lora_targets names {word!r}, but no linear layer of the decoder is called that: it has "
        f"{', '.join(last) or 'none'}. (The embeddings and the output matrix take no adapter.)",
        code="E103",
        tries=(*((f"--model.lora-targets {near}",) if near else ()), f"--model.lora-targets {ALL}"),
        kept="Nothing was changed.",
    )
