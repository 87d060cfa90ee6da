"""The licence that a trained model inherits: its base model's, as far as anything here says what that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.data.hub import failures
from oneshot.model import embedded

EMBEDDED_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
"""Where the embedded model's unquantised weights are published, under the licence of `_KNOWN`."""
_KNOWN = {embedded.NAME: "apache-2.0", EMBEDDED_HUB: "apache-2.0"}
_KEYS = ("license", "license_name", "license_link")


@dataclass(frozen=True, kw_only=True)
class Licence:
    """Keys of a model card, and what to say about them."""

    keys: Mapping[str, str]
    note: str


def licence_of(base: str, client: Any = None) -> Licence:
    """The licence of a base model: a known one, its card in the folder or the Hub's cache, else what the Hub says.

    Args:
        base: a Hub id, a local folder, or the embedded model.
        client: asked where nothing local tells; None: not asked.
    """
    if base in _KNOWN:
        return Licence(keys={"license": _KNOWN[base]}, note=f"The licence is that of the base model, {_KNOWN[base]}.")
    folder = Path(base).expanduser()
    found = _of_card(folder / "README.md") if folder.is_dir() else _of_cache(base) or _of_hub(base, client)
    if not found:
        note = (
            "The licence of the base model is not known here. Look it up before you share this model: it applies to it."
        )
        return Licence(keys={"license": "other", "license_name": "unknown"}, note=note)
    named = found.get("license_name") or found["license"]
    return Licence(keys=found, note=f"The licence is carried over from the base model: {named}.")


def _of_card(path: Path) -> dict[str, str]:
    """The keys in the first lines of a model card; none where it has no such lines or cannot be read."""
    import yaml

    try:
        begin, front, _ = path.read_text("utf-8").split("---\n", 2)
        told = yaml.safe_load(front) if not begin.strip() else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return _keys(told) if isinstance(told, dict) else {}


def _of_cache(base: str) -> dict[str, str]:
    """The same, of a card that was downloaded with the model."""
    from huggingface_hub import try_to_load_from_cache

    try:
        path = try_to_load_from_cache(base, "README.md")
    except ValueError:  # not the name of a repository
        return {}
    return _of_card(Path(path)) if isinstance(path, str) else {}


def _of_hub(base: str, client: Any) -> dict[str, str]:
    if client is None:
        return {}
    refusals: tuple[type[Exception], ...] = (OSError, ValueError, *failures())
    try:
        card = client.model_info(base).card_data
    except refusals:  # it is not worth an upload
        return {}
    return _keys(dict(card.to_dict())) if card is not None else {}


def _keys(told: Mapping[str, Any]) -> dict[str, str]:
    found = {key: str(told[key]) for key in _KEYS if told.get(key)}
    return found if "license" in found else {}
