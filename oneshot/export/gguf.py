"""GGUF through llama.cpp's own converter, run as a child process: `convert_hf_to_gguf.py` of a checkout or in PATH.

The converter is not part of this project and not on every machine. What it supports it says itself
(`--print-supported-models`), so an architecture that it lacks is refused before anything is written.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oneshot.errors import DataError, MachineError, UsageError

SCRIPT = "convert_hf_to_gguf.py"
PROGRAMS = (SCRIPT, "convert-hf-to-gguf")
"""What it is called in PATH: llama.cpp's own script, or as a package installs it."""
TYPES = ("f32", "f16", "bf16", "q8_0", "auto")
TYPE_OF = {"float32": "f32", "bfloat16": "bf16"}
"""Dtype of the weights -> the type that keeps them exactly."""
SHOWN = 12
"""Last lines of a converter that fails."""
_LISTED = re.compile(r"\s*-\s+([A-Za-z0-9_]+)\s*")


@dataclass(frozen=True, kw_only=True)
class Converter:
    """How the converter is started."""

    command: tuple[str, ...]
    place: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end; output and errors in one text."""
        try:
            return subprocess.run(
                [*self.command, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise MachineError(
                f"the converter {self.place} cannot be started: {error.strerror}.",
                code="E204",
                tries=(f"--converter LLAMA.CPP/{SCRIPT}",),
                kept="Nothing was written.",
            ) from error


def find(asked: str = "", *, home: str = "") -> Converter:
    """The converter: the file asked for, else in the llama.cpp folder `home`, else in PATH.

    A file is run by this Python, which has torch and transformers; a program of PATH by itself, since its first line
    names the Python that it was installed with.

    Raises:
        UsageError: E106 the file asked for is not there.
        MachineError: E204 none is found.
    """
    if asked:
        path = Path(asked).expanduser()
        path = path / SCRIPT if path.is_dir() else path
        if not path.is_file():
            raise UsageError(f"there is no converter {path}.", code="E106", tries=(f"--converter LLAMA.CPP/{SCRIPT}",))
        return Converter(command=(sys.executable, str(path)), place=path)
    if home:
        path = Path(home).expanduser()
        path = path / SCRIPT if path.is_dir() else path
        if path.is_file():
            return Converter(command=(sys.executable, str(path)), place=path)
    for name in PROGRAMS:
        if found := shutil.which(name):
            return Converter(command=(found,), place=Path(found))
    where = f"LLAMA_CPP={home} has no {SCRIPT}, and PATH has none" if home else "neither LLAMA_CPP nor PATH has it"
    raise MachineError(
        f"GGUF files are made by llama.cpp's {SCRIPT}, which is not here: {where}.",
        code="E204",
        tries=(
            "git clone --depth 1 https://github.com/ggml-org/llama.cpp && export LLAMA_CPP=$PWD/llama.cpp",
            f"--converter LLAMA.CPP/{SCRIPT}",
            "oneshot export RUN --to hf   (most tools open that folder, and can be converted later)",
        ),
        kept="Nothing was written.",
    )


def check_type(given: str) -> None:
    """Refuse a `--gguf-type` that converters do not have. `UsageError` E103."""
    if given not in TYPES:
        raise UsageError(f"--gguf-type {given!r} is not {', '.join(TYPES)}.", code="E103", tries=("--gguf-type q8_0",))


def supported(converter: Converter) -> list[str]:
    """The architectures a converter says it supports; empty where it does not say."""
    done = converter.run("--print-supported-models")
    if done.returncode:
        return []
    named = (_LISTED.fullmatch(line.rpartition(":")[2]) for line in done.stdout.splitlines())
    return sorted({match[1] for match in named if match})


def check_architecture(converter: Converter, architectures: Sequence[str]) -> None:
    """Refuse a model that the converter cannot convert, as far as it says so beforehand.

    Raises:
        DataError: E304 none of the model's architectures is supported.
    """
    known = supported(converter)
    if known and not set(known) & set(architectures):
        raise _unsupported(", ".join(architectures) or "a model without an architecture", converter)


def architectures_of(folder: Path) -> list[str]:
    """`architectures` of a model folder's config.json; none where it cannot be read."""
    try:
        found = json.loads((folder / "config.json").read_bytes()).get("architectures") or []
    except (OSError, ValueError, AttributeError):
        return []
    return [str(name) for name in found]


def convert(converter: Converter, source: Path, target: Path, kind: str) -> None:
    """Make one GGUF file of a Hugging Face folder.

    Args:
        converter: as `find` gives it.
        source: the folder.
        target: the file.
        kind: one of `TYPES`.

    Raises:
        DataError: E304 the converter does not know the architecture, or fails.
    """
    done = converter.run(str(source), "--outfile", str(target), "--outtype", kind)
    if done.returncode == 0 and target.is_file() and target.stat().st_size:
        return
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if any("is not supported" in line for line in lines[-SHOWN:]):
        raise _unsupported(", ".join(architectures_of(source)), converter)
    how = f"ended with status {done.returncode}" if done.returncode else "wrote no file"
    said = "\n".join(f"    {line}" for line in lines[-SHOWN:]) or "    (it said nothing)"
    raise DataError(
        f"the converter {converter.place} {how}; its last lines:\n{said}",
        code="E304",
        tries=(" ".join([*converter.command, "FOLDER", "--outtype", kind]) + "   (with the folder of --to hf)",),
        kept="No GGUF file was left.",
    )


def _unsupported(what: str, converter: Converter) -> DataError:
    return DataError(
        f"{converter.place} does not support {what}.",
        code="E304",
        tries=("git -C LLAMA.CPP pull   (a newer one may)", "oneshot export RUN --to hf   (for transformers and vLLM)"),
        kept="No GGUF file was written.",
    )
