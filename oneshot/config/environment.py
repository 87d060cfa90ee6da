"""Environment variables: read here and nowhere else.

Settings (`ONESHOT_OPTIM__LR=1e-5`) are read by `load`; this module holds the few that are not settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

NOT_SETTINGS: Mapping[str, str] = {
    "ONESHOT_HOME": "Folder of caches and logs that outlive a run. Default: `~/.cache/oneshot`.",
    "ONESHOT_DATA": "Folder with the tasks' files (`math500.jsonl`, ...) where `evals.data_dir` is empty.",
    "ONESHOT_OFFLINE": "1 has the effect of `--offline` on every command: no socket is opened.",
    "ONESHOT_CI": "1 turns a skipped test outside `tests/gpu` into a failure.",
}
"""Our own variables that set no key of the configuration, with one sentence each."""

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


def environment(env: Mapping[str, str] | None = None) -> Mapping[str, str]:
    """`env`, or this process's environment when it is None."""
    return os.environ if env is None else env


def home(env: Mapping[str, str] | None = None) -> Path:
    """The folder of caches and logs: `ONESHOT_HOME`, else `~/.cache/oneshot`. It need not exist."""
    named = environment(env).get("ONESHOT_HOME", "")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "oneshot"


def data_dir(env: Mapping[str, str] | None = None) -> str:
    """The folder of the tasks' files where `evals.data_dir` is empty: `ONESHOT_DATA`, else none."""
    return environment(env).get("ONESHOT_DATA", "")


def offline(env: Mapping[str, str] | None = None) -> bool:
    """Whether `ONESHOT_OFFLINE` is on."""
    return _on(environment(env).get("ONESHOT_OFFLINE", ""))


def plain(env: Mapping[str, str] | None = None) -> bool:
    """Whether output should be plain lines even in a terminal: `NO_COLOR`, `CI` or `TERM=dumb`."""
    env = environment(env)
    return bool(env.get("NO_COLOR")) or _on(env.get("CI", "")) or env.get("TERM") == "dumb"


def wandb_mode(env: Mapping[str, str] | None = None) -> str:
    """W&B's mode: `WANDB_MODE`, else online where `WANDB_API_KEY` is set, else offline: nobody is asked to log in."""
    env = environment(env)
    return env.get("WANDB_MODE") or ("online" if env.get("WANDB_API_KEY") else "offline")


def tracks_elsewhere(name: str, env: Mapping[str, str] | None = None) -> bool:
    """Whether the environment names another place for Trackio's or MLflow's runs than our local default."""
    variables = {"trackio": ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"), "mlflow": ("MLFLOW_TRACKING_URI",)}
    return any(environment(env).get(variable) for variable in variables.get(name, ()))


def llama_cpp(env: Mapping[str, str] | None = None) -> str:
    """The folder of llama.cpp, or its converter: `LLAMA_CPP`, else none."""
    return environment(env).get("LLAMA_CPP", "")


def go_offline() -> None:
    """Tell the Hugging Face libraries to open no socket. They read these once, so call it before importing them."""
    os.environ.update(_OFFLINE)


def _on(value: str) -> bool:
    return value.strip().lower() not in ("", "0", "false", "no", "off")
