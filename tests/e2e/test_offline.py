"""Training with every socket refused, in a Python of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.contracts.conftest import NO_SOCKETS
from tests.e2e.conftest import SMALL

CODE = """
import json, sys
from oneshot.cli.main import main
for words in json.loads(sys.argv[1]):
    print(main(words), file=sys.stderr)
"""


def test_offline_opens_no_socket(tiny: Path, tmp_path: Path, root: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_SOCKETS, "utf-8")
    log = tmp_path / "sockets.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "ONESHOT_", "TRANSFORMERS_"))}
    environment |= {"PYTHONPATH": f"{tmp_path}{os.pathsep}{root}", "SOCKET_LOG": str(log), "HOME": str(tmp_path)}
    environment |= {"ONESHOT_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    example = ["--example", "2 + 3?", "--answer", "5", "--reward", "number", "--allow-unsolved", *SMALL]
    commands = [
        ["train", "--offline", "--model", str(tiny), "--steps", "1", "--quiet", *example],
        ["eval", str(tiny), "--offline", "--data", "builtin", "--limit", "2", "--quiet"],
        ["report", "latest", "--offline"],
        ["train", "--offline", "--model", "Qwen/Qwen2.5-0.5B", *example],
        ["demo", "--offline"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    told = done.stderr.splitlines()
    assert [line for line in told if line.isdigit()] == ["0", "0", "0", "3", "3"], done.stderr
    assert not log.exists() or log.read_text("utf-8") == ""
    assert "E203 Qwen/Qwen2.5-0.5B is not in the cache and --offline was given" in done.stderr
    empty = (
        f"E203 the embedded model is not in the cache ({tmp_path}/home/models/smollm2-135m) and --offline was given."
    )
    assert empty in told
    assert "  try: oneshot doctor --fetch   (once, on a connected machine)" in told
    assert "Traceback" not in done.stderr
