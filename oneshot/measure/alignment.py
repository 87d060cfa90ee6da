"""How alike two sampled gradients are, from dot products: cosines, and what noise leaves of them. Loads no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Products:
    """What is kept of a gradient a + b, whose two halves are a and b: dot products, also with another gradient e."""

    aa: float
    bb: float = 0.0
    ab: float = 0.0
    ea: float = 0.0
    eb: float = 0.0
    halved: bool = False
    """Whether there is a second half."""

    @property
    def square(self) -> float:
        """‖a + b‖²."""
        return max(0.0, self.aa + 2 * self.ab + self.bb)

    @property
    def split_half(self) -> float | None:
        """The cosine of both halves; None without a second one, or where one is 0."""
        return cosine(self.ab, self.aa, self.bb) if self.halved else None

    def cosines(self, other: float) -> tuple[float | None, list[float | None]]:
        """With e, whose ‖e‖² is `other`: the cosine of the whole, and of each half."""
        whole = cosine(self.ea + self.eb, self.square, other)
        return whole, [cosine(self.ea, self.aa, other), cosine(self.eb, self.bb, other) if self.halved else None]


def cosine(product: float, one: float, other: float) -> float | None:
    """x·y / (‖x‖ ‖y‖) from x·y, ‖x‖² and ‖y‖²; None where one of them is 0."""
    if not (one > 0 and other > 0):
        return None
    return max(-1.0, min(1.0, product / (math.sqrt(one) * math.sqrt(other))))


def as_many_again(split_half: float | None) -> float | None:
    """The cosine that two whole sets of samples would have where two halves of one have `split_half`: 2h / (1 + h).

    Spearman 1910 and Brown 1910, for noise that is independent between samples. None where h is not above 0.
    """
    return None if split_half is None or split_half <= 0 else 2 * split_half / (1 + split_half)
