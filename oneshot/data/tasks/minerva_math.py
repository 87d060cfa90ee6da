"""Minerva Math: 272 problems from MIT OpenCourseWare (the OCWCourses set of the Minerva paper)."""

from __future__ import annotations

from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import GREEDY, TASKS, Hub, Task


@TASKS.register("minerva_math")
def minerva_math() -> Task:
    """References are numbers (also `4.5e33`), expressions and equations."""
    return Task(
        name="minerva_math",
        title="Minerva Math",
        protocol=GREEDY,
        problems=Reading(prefix="minerva"),
        hub=Hub(
            name="math-ai/minervamath",
            split="test",
            columns={"prompt": "question", "answer": "answer"},
            seen="id, split, columns: public evaluation scripts; no revision was seen",
        ),
        file="minerva_math",
        count=272,
        digest="21d27b7441dd867e98c746914f8f9501a344d672a579b96b923c80c7601dca54",
        note="The course material is CC BY-NC-SA 4.0.",
    )
