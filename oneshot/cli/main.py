"""The entry point: a static table, one lazily imported function a verb, and what an error looks like."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import cast

import oneshot
from oneshot.cli.options import parse, request, resolve
from oneshot.cli.verbs import VERBS, usage
from oneshot.config.environment import environment, go_offline, home
from oneshot.config.request import Request
from oneshot.errors import MachineError, OneshotError, Stopped, UsageError

PIPE_CLOSED = 141
"""What a program killed by SIGPIPE returns: the reader of our stdout went away."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status (the table is in `docs/cli.md`)."""
    words = tuple(sys.argv[1:] if argv is None else argv)
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except OneshotError as error:
        return _fail(error, words)
    except KeyboardInterrupt:
        return _fail(Stopped("interrupted; what was recorded before is kept.", exit_code=130), words)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except Exception as error:  # the process boundary: whatever it was, say it in one line and keep the traceback
        return _fail(_internal(error, show="-v" in words or "--verbose" in words), words)


def _run(words: tuple[str, ...]) -> int:
    if not words:
        print(usage(), file=sys.stderr)
        return UsageError.exit_code
    if words[0] in ("--help", "-h", "help"):
        print(usage())
        return 0
    if words[0] in ("--version", "-V"):
        print(f"oneshot {oneshot.__version__}")
        return 0
    parsed = parse(words)
    if "quiet" not in parsed.flags:
        for note in parsed.notes:
            print(f"note: {note}", file=sys.stderr)
    if "help" in parsed.flags:
        from oneshot.cli.help import help_text

        print(help_text(parsed.verb, resolve(parsed, environment()).config))
        return 0
    asked = request(parsed, words)
    if asked.offline:
        go_offline()
    return _stage(VERBS[parsed.verb].target)(asked)


def _stage(target: str) -> Callable[[Request], int]:
    """The function of `module:function`; a package that is not installed becomes E204."""
    module, _, function = target.partition(":")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("oneshot"):
            raise
        raise MachineError(
            f"the package {error.name!r} is missing.", code="E204", tries=("python -m pip install oneshot-rlvr",)
        ) from error
    return cast(Callable[[Request], int], getattr(found, function))


def _fail(error: OneshotError, words: tuple[str, ...]) -> int:
    """Print an error on stderr, and with --json also as an object on stdout; return its exit status."""
    print(_printable(error.render()), file=sys.stderr)
    if "--json" in words:
        told = {"code": error.code, "message": error.message, "tries": error.tries, "kept": error.kept}
        print(json.dumps({"schema": "oneshot.error/1", **told, "exit_code": error.exit_code}))
    return error.exit_code


def _internal(error: Exception, *, show: bool) -> OneshotError:
    """An exception nobody expected, as exit 1 with its traceback in a file."""
    text = traceback.format_exc()
    if show:
        print(text, file=sys.stderr)
    log = home() / "crash.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text, encoding="utf-8")
        where = f"The traceback is in {log}."
    except OSError as full:
        where = f"The traceback could not be written ({full}); -v prints it."
    return OneshotError(f"internal error: {type(error).__name__}: {error}", kept=where)


def _printable(text: str) -> str:
    """Terminal escapes that came with somebody's text, made visible."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
