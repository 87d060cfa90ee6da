"""AIME 2024 and 2025: 30 problems each, whole numbers from 0 to 999."""

from __future__ import annotations

from oneshot.data.tasks.reading import Reading
from oneshot.data.tasks.task import SAMPLED, TASKS, Hub, Task

_NOTE = "One problem is 3.3 points: single runs of one model differ by more than most claims."


@TASKS.register("aime24")
def aime24() -> Task:
    """References keep their leading zeros (`025`)."""
    return Task(
        name="aime24",
        title="AIME 2024",
        protocol=SAMPLED,
        problems=Reading(prefix="aime24"),
        hub=Hub(
            name="HuggingFaceH4/aime_2024",
            split="train",
            revision="2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
            columns={"prompt": "problem", "answer": "answer", "id": "id"},
            seen="https://huggingface.co/datasets/HuggingFaceH4/aime_2024/blob/main/README.md; "
            "the whole revision: public download scripts",
        ),
        file="aime24",
        count=30,
        digest="eafa8e4e697c4b853ae91d5a9950cb50d0d02e017b61139d6f291b5b5b7a4597",
        note=_NOTE,
    )


@TASKS.register("aime25")
def aime25() -> Task:
    r"""One reference is `336^\circ`."""
    return Task(
        name="aime25",
        title="AIME 2025",
        protocol=SAMPLED,
        problems=Reading(prefix="aime25"),
        hub=Hub(
            name="math-ai/aime25",
            split="test",
            revision="563bb8404243c5f09de6ec262f2db674fe5bce9b",
            columns={"prompt": "problem", "answer": "answer", "id": "id"},
            seen="id, split, revision, columns: public download scripts that check them",
        ),
        file="aime25",
        count=30,
        digest="dfdbdefbdf41c963c5bb49d494693a72e60120ff67afeeeeeb91210cd45e70b2",
        note=_NOTE,
    )
