"""`oneshot chat RUN|MODEL`: base and trained answer the same question, token by token, in the terminal.

Each question stands alone, and is put to the models as the run's evaluation puts it: no earlier turn is shown to them.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from oneshot.config.environment import plain
from oneshot.config.request import Request
from oneshot.data import readers
from oneshot.data.rows import read_rows
from oneshot.errors import Stopped, UsageError
from oneshot.report.text import visible
from oneshot.stages.serving.chat_show import Show, shown
from oneshot.stages.serving.target import Target, find
from oneshot.types import Completion, Problem, Sampling

if TYPE_CHECKING:
    from oneshot.stages.serving.chat_answers import Answers

TEXTS = (".txt", ".md")
"""Files that are one question; every other one has rows."""
ASK = "> "
OVERRIDES = ("evals.max_new_tokens", "evals.suffix", "data.system", "model.threads", "seed")
"""Settings of the run that may be given anew here."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """One chat at work."""

    answers: Answers
    sampling: Sampling
    console: Console
    as_json: bool
    quiet: bool

    def ask(self, problem: Problem, number: int) -> dict[str, Any]:
        """Let every model answer; what `--json` says of it. `KeyboardInterrupt` stops the answers."""
        said = dict[str, Any]()
        with self._shown() as show:
            for name in self.answers.names:
                made = self.answers.answer(name, problem, self.sampling, number, partial(show.tell, name))
                show.done(name, made)
                said[name] = {"text": made.text, "tokens": len(made.tokens), "finished": made.finished}
        if problem.answer and not self.as_json and not self.quiet:
            print(f"reference answer: {visible(problem.answer)}", file=sys.stderr, flush=True)
        return {"id": problem.id, "question": problem.prompt, "reference": problem.answer, "answers": said}

    def _shown(self) -> Show:
        return Silent() if self.as_json else shown(self.answers.names, self.console, plain=plain())


class Silent(Show):
    """Shows nothing; the answers are printed as JSON at the end."""

    def tell(self, name: str, text: str) -> None:
        """Nothing."""

    def done(self, name: str, made: Completion) -> None:
        """Nothing."""

    def __exit__(self, *_: object) -> None:
        """Nothing."""


def main(request: Request) -> int:
    """Answer `--problem`, then what is typed until Ctrl-D; with `--once` only the first.

    Raises:
        UsageError: E102, E104, E106 as `serve_target.find`; E103 a flag out of range, E105 flags that do not fit,
            E106 a file that is not there.
        MachineError, DataError: as `policy.load`; E301 a row that is none, or a question that is too long.
        Stopped: 130 after Ctrl-C with `--once`.
    """
    flags = request.verb_flags
    once = bool(flags.get("once"))
    if request.json and not once:
        raise UsageError("--json is for --once.", code="E105", tries=("oneshot chat RUN --once --json",))
    target = _asked(find(request), request)
    temperature = _temperature(flags.get("temperature", 0))
    given = problems(str(flags["problem"])) if "problem" in flags else [target.problem()] if once else []

    def say(text: str) -> None:
        if not request.quiet:
            print(visible(text), file=sys.stderr, flush=True)

    chat = _opened(target, request, temperature, say)
    if once:
        return _once(chat, target, given)
    say(f"{' and '.join(chat.answers.names)}; every question stands alone; Ctrl-C stops an answer, Ctrl-D ends")
    _loop(chat, given)
    return 0


def _asked(target: Target, request: Request) -> Target:
    """The target, with the settings that are given now."""
    config = target.config
    for key in OVERRIDES if target.trained else ():
        section, _, name = key.rpartition(".")
        if request.given(key) and section:
            value = getattr(getattr(request.config, section), name)
            config = replace(config, **{section: replace(getattr(config, section), **{name: value})})
        elif request.given(key):
            config = replace(config, **{name: getattr(request.config, name)})
    if config.evals.max_new_tokens < 0:
        raise UsageError("--max-new-tokens has to be 1 or more.", code="E103")
    return replace(target, config=config)


def _temperature(given: object) -> float:
    """`--temperature`. `UsageError` E103."""
    try:
        value = float(str(given))
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise UsageError(f"--temperature {given}: a number from 0 (the best token) to 100.", code="E103")
    return value


def problems(word: str) -> list[Problem]:
    """What `--problem` names: the rows of a data file, the text of a text file, or the text itself.

    Raises:
        UsageError: E103 an empty text, E106 a file that cannot be read.
        DataError: E301 a row that is no problem.
    """
    path = Path(word).expanduser()
    text = word
    if len(word) < 4096 and "\n" not in word and path.is_file():
        if path.suffix not in TEXTS:
            return readers.to_problems(read_rows(path), str(path), allow_empty_answer=True)[0]
        try:
            text = path.read_text("utf-8").strip()
        except UnicodeDecodeError as error:
            raise UsageError(f"{path} is no text in UTF-8.", code="E106") from error
    elif path.suffix in (*TEXTS, ".jsonl", ".parquet") and " " not in word:
        raise UsageError(f"there is no file {word}.", code="E106", tries=('--problem "What is 17 + 25?"',))
    if not text.strip():
        raise UsageError("--problem is empty.", code="E103", tries=('--problem "What is 17 + 25?"',))
    return [typed(text)]


def typed(text: str) -> Problem:
    """A question without an answer that is known."""
    return Problem(id="asked", prompt=text, answer="")


def _opened(target: Target, request: Request, temperature: float, say: Callable[[str], None]) -> Chat:
    """Load the models."""
    from oneshot.model.policy import set_threads
    from oneshot.stages.serving.chat_answers import Answers
    from oneshot.stages.serving.options import settled

    config = target.config
    set_threads(config.model.threads)
    asked = request.config.model.dtype if request.given("model.dtype") else "auto"
    dtype = settled(asked if asked != "auto" else target.dtype)
    return Chat(
        answers=Answers(target, dtype=dtype, offline=request.offline, say=say),
        sampling=Sampling(temperature=temperature, max_new_tokens=config.evals.source_tokens, seed=config.seed),
        console=Console(highlight=False, markup=False, emoji=False),
        as_json=request.json,
        quiet=request.quiet,
    )


def _once(chat: Chat, target: Target, given: list[Problem]) -> int:
    """Every problem that was given, and nothing else."""
    rows = list[dict[str, Any]]()
    for number, problem in enumerate(given):
        try:
            rows.append(chat.ask(problem, number))
        except KeyboardInterrupt:
            raise Stopped("stopped; the answers above are whole but for the last.", exit_code=130) from None
    if chat.as_json:
        run = str(target.trained.run.path) if target.trained else None
        print(json.dumps({"schema": "oneshot.chat/1", "model": target.name, "run": run, "problems": rows}))
    return 0


def _loop(chat: Chat, given: list[Problem]) -> None:
    """What was given, then what is typed, until the end of input."""
    for number, problem in enumerate(_questions(given)):
        if problem.id != "asked" and not chat.quiet:
            print(f"{ASK}{visible(problem.prompt)}", file=sys.stderr, flush=True)
        try:
            chat.ask(problem, number)
        except KeyboardInterrupt:
            print("(stopped)", file=sys.stderr, flush=True)


def _questions(given: list[Problem]) -> Iterator[Problem]:
    yield from given
    terminal = sys.stdin.isatty()
    if terminal:
        with suppress(ImportError):  # not everywhere; typing works without it
            import readline  # noqa: F401 - lines can be edited and called back once it is there
    while True:
        try:
            line = input(ASK) if terminal else sys.stdin.readline()
        except EOFError:
            print(flush=True)
            return
        except KeyboardInterrupt:
            print(flush=True)
            continue
        if not terminal and not line:
            return
        if line.strip():
            yield typed(line.strip())
