"""`oneshot fetch MODEL|TASK|SUITE...`: put on this machine what `--offline` will need. Loads no torch for the Hub.

With a recipe (`-c`) and no words it fetches what the recipe names: its model, its data and its test tasks. What fails
fails alone: everything else is fetched, and the status is 3.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from oneshot.config.gym import PREFIX
from oneshot.config.request import Request
from oneshot.data.problems import BUILTIN, examples
from oneshot.data.tasks.files import is_file
from oneshot.data.tasks.suites import known, resolve
from oneshot.errors import MachineError, OneshotError, UsageError
from oneshot.model import embedded
from oneshot.registry import nearest
from oneshot.stages.fetching import models as fetch_models
from oneshot.stages.fetching import tasks as fetch_tasks
from oneshot.stages.fetching.fetched import FAILED, WORDS, Fetched
from oneshot.stages.watching.ls_entries import size

SCHEMA = "oneshot.fetch/1"
REVISION = "model.revision"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_USAGE = ("oneshot fetch smollm2-135m math500", "oneshot fetch -c RECIPE")

Job = tuple[str, str, Callable[[], Iterable[Fetched]]]
"""(name, kind, what fetches it)."""


def main(request: Request) -> int:
    """Fetch one thing after the other and say where each lies; 3 where one could not be had.

    Raises:
        MachineError: E203 under `--offline`.
        UsageError: E102 a name that is neither a model nor a task, E103 nothing is named, E105 a revision for several
            models.
    """
    if request.offline:
        raise MachineError(
            "oneshot fetch needs the network, and --offline (or ONESHOT_OFFLINE) was given.",
            code="E203",
            tries=(" ".join(("oneshot fetch", *request.positional)) + "   (once, on a connected machine)",),
            kept="Nothing was downloaded.",
        )
    jobs = list(_jobs(request))
    if not (sys.stderr.isatty() and not request.quiet and not request.json):
        _no_bars()
    done: list[Fetched] = []
    for name, kind, work in jobs:
        for made in _tried(name, kind, work):
            done.append(made)
            if not request.json:
                _say(made)
    if request.json:
        print(json.dumps({"schema": SCHEMA, "fetched": [made.as_dict() for made in done]}))
    return MachineError.exit_code if any(made.state == FAILED for made in done) else 0


def _tried(name: str, kind: str, work: Callable[[], Iterable[Fetched]]) -> Iterator[Fetched]:
    try:
        yield from work()
    except OneshotError as error:
        yield Fetched(name=name, kind=kind, state=FAILED, error=error)


def _say(made: Fetched) -> None:
    """One line on stdout; an error as everywhere on stderr."""
    if made.error is not None:
        print(f"{made.name}: {made.error.render()}", file=sys.stderr)
        return
    told = [WORDS[made.state]]
    if made.rows is not None:
        told.append(f"{made.rows} rows")
    if made.bytes is not None:
        told.append(size(made.bytes))
    told += [text for text in (made.where, *made.notes) if text]
    print(f"{made.name}: {', '.join(told)}")


def _jobs(request: Request) -> Iterator[Job]:
    """What is to be done, in the order typed; every name is looked at before anything is fetched."""
    config = request.config
    words = [word.strip() for text in request.positional for word in text.split(",") if word.strip()]
    if not words:
        words = [config.model.name] if request.given("model.name") else []
        words += [word.strip() for word in config.evals.tasks.split(",") if word.strip()]
        source = config.data.source
        if source and source != BUILTIN and source not in examples():
            yield source, "data", lambda: [fetch_tasks.source_for(config)]
        elif not words:
            raise UsageError("oneshot fetch needs MODEL, TASK or SUITE, or a recipe.", code="E103", tries=_USAGE)
    words = list(dict.fromkeys(words))
    models = [word for word in words if word != embedded.NAME and not _is_task(word)]
    if request.given(REVISION) and len(models) > 1:
        raise UsageError(
            f"--model.revision is of one model, and {', '.join(models)} are several.",
            code="E105",
            tries=tuple(f"oneshot fetch {model} --model.revision {config.model.revision}" for model in models[:2]),
        )
    files: set[str] = set()
    for word in words:
        if word in models:
            yield _model(word, config.model.revision)
        elif word == embedded.NAME:
            yield word, "model", lambda: [fetch_models.embedded_model()]
        else:
            for task in resolve(word):
                if task.file in files and task.make is None:
                    continue  # another protocol of the same rows
                files.add(task.file)
                yield task.name, "task", lambda task=task: [fetch_tasks.task_for(task, config.evals.data_dir)]  # type: ignore[misc]


def _is_task(word: str) -> bool:
    return word.startswith(PREFIX) or is_file(word) or word.partition(":")[0] in known()


def _model(name: str, revision: str) -> Job:
    """A folder, or a model of the Hub. `UsageError` E102 for a name that can be neither."""
    if Path(name).expanduser().is_dir() or name.startswith((".", "/", "~")):
        return name, "model", lambda: fetch_models.local_model(name, revision)
    if not _HUB_ID.fullmatch(name):
        here = [*known(), embedded.NAME]
        raise UsageError(
            f"{name!r} is no task, no suite and no model: a model of the Hub is OWNER/NAME.{nearest(name, here)}",
            code="E102",
            tries=_USAGE,
        )
    return name, "model", lambda: [fetch_models.hub_model(name, revision)]


def _no_bars() -> None:
    """Progress bars are for a terminal."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
