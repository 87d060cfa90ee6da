"""Responses line by line: a file of 10^5 of them is read and never held. The one piece that all readers use."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oneshot.errors import UsageError

LONGEST_LINE = 16 << 20
"""Bytes. A longer line comes in pieces, which are no JSON, so it is taken for damage."""
BROKEN = (OSError, EOFError, zlib.error)
"""What reading a gzip file raises; `OSError` holds its own error and a file that is absent."""
_LOGPROBS = re.compile(rb'"logprobs": \[[^\]]*\]')


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a gzip file, one at a time; raises one of `BROKEN`, `FileNotFoundError` where it is absent."""
    with gzip.open(path, "rb") as file:
        yield from iter(lambda: file.readline(LONGEST_LINE), b"")


def streamed(path: Path, every: int = 1) -> Iterator[dict[str, Any]]:
    """The rows of a `.jsonl.gz` file one by one, or every so many of them; `logprobs` come out empty.

    They are half of the time that reading takes, and nobody who looks on needs them. Inside a text their key has
    backslashes before its quotes, so nothing but the key itself is found.

    Raises:
        UsageError: E106 it is absent, damaged, or has a line that is no JSON object.
    """
    place = 0
    try:
        for place, line in enumerate(lines(path)):
            if place % every == 0:
                row = json.loads(_LOGPROBS.sub(b'"logprobs": []', line, count=1))
                if not isinstance(row, dict):
                    raise UsageError(f"{path}, line {place + 1} is not a JSON object.", code="E106")
                yield row
    except FileNotFoundError as error:
        raise UsageError(f"there is no {path}.", code="E106") from error
    except BROKEN as error:
        raise UsageError(f"{path} is damaged: {error}.", code="E106") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {place + 1} is not JSON: {error}.", code="E106") from error
