"""Rows of a data set of the Hugging Face Hub, through the optional library `datasets` (and its cache)."""

from __future__ import annotations

import importlib

from oneshot.data.rows import RawRow
from oneshot.errors import DataError, MachineError, UsageError

_RAISING = {"datasets.exceptions": "DatasetsError", "huggingface_hub.errors": "", "httpx": "", "httpx2": ""}
"""Module -> the base of its exceptions; empty means each that it defines."""
HUB_LINE = "pip install 'oneshot-rlvr[hub]'"


def hub_rows(
    name: str,
    *,
    split: str = "train",
    config: str = "",
    revision: str = "",
    offline: bool = False,
    tries: tuple[str, ...] = (),
) -> list[RawRow]:
    """Every row of one split, as it stands there.

    Args:
        name: `owner/name`.
        split: the split's name.
        config: the data set's configuration; empty means its only one.
        revision: a commit; empty means the newest.
        offline: `--offline` was given, for the message; the cache is read all the same.
        tries: what to do instead, for messages.

    Raises:
        MachineError: E204 without the library, E203 where neither the cache has it nor the Hub answers, or fetching
            breaks off.
        UsageError: E106 no such data set, configuration, split or revision, or one that cannot be read.
        DataError: E301 a split without rows.
    """
    try:
        import datasets
    except ImportError as error:
        raise MachineError(
            f"{name} is no local file; reading a Hub data set needs the package `datasets`.",
            code="E204",
            tries=(HUB_LINE, *tries),
        ) from error
    # Only what is given is passed on, so that the library's own defaults hold for the rest.
    chosen = {key: value for key, value in (("name", config), ("revision", revision)) if value}
    try:
        rows = datasets.load_dataset(name, split=split, **chosen)
    except ConnectionError as error:
        why = "--offline was given" if offline else "the Hub cannot be reached"
        raise MachineError(
            f"{name} is no local file and not in the cache, and {why}.",
            code="E203",
            tries=tries,
            kept="Nothing was downloaded.",
        ) from error
    except (OSError, ValueError, RuntimeError) as error:  # no such data set, a refusal, a damaged or scripted one
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(f"the Hub data set {name} cannot be read: {said}", code="E106", tries=tries) from error
    except failures() as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MachineError(f"fetching {name} from the Hub failed: {said}", code="E203", tries=tries) from error
    if not len(rows):
        raise DataError(f"the split {split} of {name} holds no rows.")
    return [RawRow(number, dict(row)) for number, row in enumerate(rows, 1)]


def failures() -> tuple[type[Exception], ...]:
    """The exceptions of the libraries that fetch; many are none of Python's own for files, values or connections."""
    found: list[type[Exception]] = []
    for module, base in _RAISING.items():
        try:
            defined = vars(importlib.import_module(module))
        except ImportError:  # another version of the library has other parts
            continue
        values = [defined[base]] if base in defined else defined.values()
        found += [each for each in values if isinstance(each, type) and issubclass(each, Exception)]
    return tuple(each for each in found if each is not Exception)
