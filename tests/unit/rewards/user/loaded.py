"""What a loaded reward function is, and what is told of one that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Reward = Callable[[dict[str, Any]], dict[str, Any]]
Load = Callable[..., Reward]
RIGHT = r"It is \boxed{12.8}."


def failure(reward: Reward, response: str = RIGHT) -> str:
    told = reward({"response": response, "reference": "12.8"})
    assert set(told) == {"failure"}, told
    return str(told["failure"])
