"""AMC 12 of 2023, in the version with whole numbers as answers: 40 problems."""

from __future__ import annotations

import re
from typing import Any

from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import SAMPLED, TASKS, Hub, Task


def whole(value: Any) -> Any:
    """Some copies hold 27.0 for 27; anything but such a number is left as it is."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    match = re.fullmatch(r"\s*(-?\d+)\.0+\s*", value) if isinstance(value, str) else None
    return match[1] if match else value


@TASKS.register("amc23")
def amc23() -> Task:
    """References are whole numbers, whatever the copy holds."""
    return Task(
        name="amc23",
        title="AMC 2023",
        protocol=SAMPLED,
        problems=Reading(prefix="amc23", answers=("answer",), read_answer=whole),
        hub=Hub(
            name="math-ai/amc23",
            split="test",
            revision="80815d37005feb82cd7f8fbc6901d5d3eff43057",
            columns={"prompt": "question", "answer": "answer", "id": "id"},
            seen="id, split, revision, columns: public download scripts that check them",
        ),
        file="amc23",
        count=40,
        digest="68f3951ba1fae90beba7852e95dda15cb372d983288bfefe504bd2fb85e5cedf",
        note="One problem is 2.5 points.",
    )
