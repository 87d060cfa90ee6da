"""The border to a user's code: what leaves it is named with its line, and never swallowed."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

MAX_SHOWN = 200
"""Characters of somebody's text or value in a message."""


class Refused(Exception):
    """What a user's reward did that is no reward, as the rest of a sentence about it."""


def shown(value: object) -> str:
    """A value and its type for a message, cut."""
    return f"{_cut(repr(value))} ({type(value).__name__})"


def _cut(text: str) -> str:
    """A text as one printable line."""
    line = " ".join(text[: MAX_SHOWN + 1].split())
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    return line if len(line) <= MAX_SHOWN else line[:MAX_SHOWN] + "..."


class UsersCode:
    """Context in which a user's code runs: whatever it raises leaves as `Refused` with type, text and line.

    `sys.exit()` included, since a reward that ends its process is as useless as one that fails. Ctrl-C and a lack of
    memory pass as they are: the worker knows what to do with them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Refused | KeyboardInterrupt | MemoryError):
            return
        text = error.msg if isinstance(error, SyntaxError) else str(error)  # str() would name the line as well
        raise Refused(f"raised {type(error).__name__}: {_cut(text)}{self._line(error)}") from error

    def _line(self, error: BaseException) -> str:
        """` (line 12 of reward.py)`: the last line of the file that was on the way to the error."""
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == str(self.path)]
        if isinstance(error, SyntaxError) and error.lineno and error.filename == str(self.path):
            lines.append(error.lineno)
        return f" (line {lines[-1]} of {self.path.name})" if lines else ""
