"""Values of recorded files that nobody vouches for: a number, a part of an object."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeGuard


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a finite int or float; bool, None, NaN, infinities and ints that no float can hold are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def number(value: object) -> float | None:
    """A finite number as a float; None for anything else."""
    return float(value) if is_number(value) else None


def section(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of an object that should be one itself; empty where it is absent or anything else."""
    found = mapping.get(name)
    return found if isinstance(found, Mapping) else {}
