r"""ARC-Easy and ARC-Challenge: school science with 3 to 5 choices, under two protocols.

`letter`, the task's own: the choices stand in the prompt with letters (the wording is ours), a response is sampled and
its letter graded. `loglikelihood`: the choices are not shown; the prompt is `Question: ...\nAnswer:` and the choice
whose text, after one space, is likeliest counts. `acc` compares the sums of log p; `acc_norm` divides each by the
number of characters of the choice, without that space. Prompt, continuations and both numbers are
lm-evaluation-harness' (`lm_eval/tasks/arc/arc_easy.yaml`), zero-shot. The paper does not say which protocol it used.

Labels are A to E in most rows and 1 to 5 in others; here they are always letters. Chance is taken as 1/4; a few rows
have another number of choices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from oneshot.data.rows import RawRow, bad_row
from oneshot.data.tasks.reading import identity, refuse_equal_ids
from oneshot.data.tasks.task import CHOICES, LOGLIKELIHOOD, QUESTION, TASKS, Hub, Protocol, ReadRows, Task
from oneshot.types import Problem

LETTERS = "ABCDE"
LETTER = Protocol(max_new_tokens=1024, grader="choice")
RANKED = Protocol(kind=LOGLIKELIHOOD, max_new_tokens=0, grader="choice")
_ROW = '{"id": "q1", "question": "...", "choices": {"text": ["...", "..."], "label": ["A", "B"]}, "answerKey": "A"}'


def continuations(problem: Problem) -> list[str]:
    """What may follow the prompt under `loglikelihood`, in the order of the choices: one space and the text."""
    return [" " + choice["text"] for choice in problem.meta[CHOICES]]


def letter_prompt(question: str, choices: Sequence[Mapping[str, str]]) -> str:
    """The question, its choices with letters, and in which form the answer is wanted."""
    listed = "\n".join(f"{choice['label']}. {choice['text']}" for choice in choices)
    return f"{question}\n\n{listed}\n\nWhich choice is right? Give its letter in \\boxed{{}}."


def ranked_prompt(question: str, choices: Sequence[Mapping[str, str]]) -> str:
    """The question alone, as lm-evaluation-harness puts it."""
    return f"Question: {question}\nAnswer:"


def _reader(prompt: Callable[[str, Sequence[Mapping[str, str]]], str], prefix: str) -> ReadRows:
    """`ReadRows` that puts questions so."""

    def read(rows: Sequence[RawRow], source: str) -> list[Problem]:
        named = [RawRow(row.line, {**row.values, "id": identity(row.values, "", n)}) for n, row in enumerate(rows)]
        refuse_equal_ids(named, source)
        return [_problem(row, source, prompt, prefix) for row in named]

    return read


def _problem(
    row: RawRow, source: str, prompt: Callable[[str, Sequence[Mapping[str, str]]], str], prefix: str
) -> Problem:
    """One row of the Hub's form, of the authors' jsonl (question.stem), or with choices as a list of objects."""
    question, given = row.values.get("question"), row.values.get("choices")
    if isinstance(question, Mapping):
        given, question = question.get("choices"), question.get("stem")
    if not isinstance(question, str) or not question.strip():
        raise _bad(row, source, "there is no question")
    labels, texts = _columns(given)
    if not 2 <= len(texts) <= len(LETTERS) or len(labels) != len(texts) or len(set(labels)) != len(labels):
        raise _bad(row, source, f"there are {len(texts)} choices with {len(set(labels))} labels")
    key = str(row.values.get("answerKey", "")).strip()
    if key not in labels:
        raise _bad(row, source, f"the right choice (answerKey) is {key!r}, the labels are {', '.join(labels)}")
    choices = [{"label": letter, "text": text} for letter, text in zip(LETTERS, texts, strict=False)]
    return Problem(
        id=str(row.values["id"]),
        prompt=prompt(question, choices),
        answer=LETTERS[labels.index(key)],
        category=prefix,
        meta={"source": source, "line": row.line, QUESTION: question, CHOICES: choices},
    )


def _columns(given: Any) -> tuple[list[str], list[str]]:
    """(labels, texts) of two lists in one object, or of a list of objects; empty where it is neither."""
    if isinstance(given, Mapping):
        labels, texts = given.get("label"), given.get("text")
    elif isinstance(given, (list, tuple)) and all(isinstance(choice, Mapping) for choice in given):
        labels, texts = [c.get("label") for c in given], [c.get("text") for c in given]
    else:
        return [], []
    if not isinstance(labels, (list, tuple)) or not isinstance(texts, (list, tuple)):
        return [], []
    if not all(isinstance(text, str) and text.strip() for text in texts):
        return [], []
    return [str(label).strip() for label in labels], list(texts)


def _bad(row: RawRow, source: str, what: str) -> Exception:
    rule = f"A row has a question, 2 to {len(LETTERS)} choices and the label of the right one: {_ROW}"
    return bad_row(source, row.line, what, rule)


def _task(name: str, title: str, config: str, count: int) -> Task:
    return Task(
        name=name,
        title=title,
        protocol=LETTER,
        problems=_reader(letter_prompt, config),
        protocols={"letter": LETTER, "loglikelihood": RANKED},
        prompts={"loglikelihood": _reader(ranked_prompt, config)},
        hub=Hub(
            name="allenai/ai2_arc",
            config=config,
            split="test",
            revision="210d026faf9955653af8916fad021475a3f00453",
            columns={"prompt": "question", "choices": "choices", "answer": "answerKey", "id": "id"},
            seen="https://huggingface.co/datasets/allenai/ai2_arc/blob/"
            "4d4ed1b0a54f45df33cd8eb45c157cc00cdaf35e/README.md; the revision: public download scripts",
        ),
        file=name,
        count=count,
        floor=0.25,
        note="Two protocols give two numbers that cannot be compared; the paper does not name its own.",
    )


@TASKS.register("arc_easy")
def arc_easy() -> Task:
    """2,376 test questions; its digest is not known, since no copy was at hand."""
    return _task("arc_easy", "ARC-Easy", "ARC-Easy", 2376)


@TASKS.register("arc_challenge")
def arc_challenge() -> Task:
    """1,172 test questions; its digest is not known, since no copy was at hand."""
    return _task("arc_challenge", "ARC-Challenge", "ARC-Challenge", 1172)
