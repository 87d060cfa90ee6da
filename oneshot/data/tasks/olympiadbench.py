"""OlympiadBench: its 675 open-ended problems of mathematics in English without pictures."""

from __future__ import annotations

from typing import Any

from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import GREEDY, TASKS, Hub, Task


def final_answer(value: Any) -> Any:
    """The first of the source's list (94 rows hold several values in it), without one pair of dollars around it all."""
    text = value[0] if isinstance(value, (list, tuple)) and value else value
    if not isinstance(text, str):
        return "" if text is None or isinstance(text, (list, tuple)) else text
    text = text.strip()
    inner = text[1:-1]
    return inner.strip() if len(text) > 2 and text[0] == text[-1] == "$" and "$" not in inner else text


@TASKS.register("olympiadbench")
def olympiadbench() -> Task:
    r"""Several values stand in one reference (`$69$,$84$`); one row states a tolerance, which is not used."""
    return Task(
        name="olympiadbench",
        title="OlympiadBench",
        protocol=GREEDY,
        problems=Reading(
            prefix="olympiadbench",
            answers=("final_answer", "answer"),
            read_answer=final_answer,
            categories=("subfield", "subject"),
        ),
        hub=Hub(
            name="math-ai/olympiadbench",
            split="test",
            columns={"prompt": "question", "answer": "final_answer", "id": "id", "category": "subfield"},
            seen="id, split, final_answer: public evaluation scripts; 675 rows: card of the copy "
            "zkshan2002/olympiad_bench; id and subfield: cards of copies of the whole set; no revision was seen",
        ),
        file="olympiadbench",
        count=675,
        digest="8a6f9d2c4595ef171da903426d0f3a29672640f2ceec33a3efeec10bb20a8611",
        note="The newer Hub set Hothan/OlympiadBench has 674 such rows.",
    )
