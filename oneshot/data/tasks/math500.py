"""MATH500: 500 problems of the test half of MATH, as chosen by prm800k."""

from __future__ import annotations

from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import GREEDY, TASKS, Hub, Task


@TASKS.register("math500")
def math500() -> Task:
    """Seven subjects, levels 1 to 5."""
    return Task(
        name="math500",
        title="MATH500",
        protocol=GREEDY,
        problems=Reading(prefix="math500"),
        hub=Hub(
            name="HuggingFaceH4/MATH-500",
            split="test",
            revision="6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
            columns={"prompt": "problem", "answer": "answer", "id": "unique_id", "category": "subject"},
            seen="id, split, revision: public download scripts; columns: card of the copy lmms-lab/MATH500",
        ),
        file="math500",
        count=500,
        digest="e5d7e13f29384519c5d475140d6abebbc7b1d3aaeb984af80d300a2c6935c95e",
        level_key="level",
        note="Parts of it can be recited by Qwen2.5 models (arXiv 2507.10532); a gain on it alone proves little.",
    )
