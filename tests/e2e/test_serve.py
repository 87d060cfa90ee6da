"""`oneshot serve` of runs of a tiny model as processes of their own, asked by OpenAI's client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from oneshot.cli.main import main
from oneshot.data.tasks import builtin
from oneshot.record import RunFolder
from tests.e2e.conftest import SMALL, OneShot
from tests.unit.benchmarks.scripts import result_of, smoke

openai = pytest.importorskip("openai")
pytest.importorskip("fastapi")

KEY = "a key"
SHORT = ("--steps", "1", "--allow-unsolved", "--yes", "--rollout.groups", "2", "--rollout.group-size", "4")
EXAMPLE = ("--example", "What is 2 + 3?", "--answer", "5", "--reward", "number")
TOKENS = 24


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    process: subprocess.Popen[str]
    told: dict[str, Any]

    def client(self, key: str = KEY) -> Any:
        return openai.OpenAI(base_url=self.told["url"], api_key=key, max_retries=0, timeout=120)

    def children(self) -> list[int]:
        """Its back end and the guard."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for task in tasks for pid in task.read_text().split()]


@contextmanager
def serving(folder: Path, *words: str | Path) -> Iterator[Server]:
    """`oneshot serve ...` until it answers; killed at the end if it still runs."""
    environment = {**os.environ, "ONESHOT_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "oneshot", "serve", *map(str, words), "--port", "0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder
    ) as process:
        try:
            assert process.stdout is not None and process.stderr is not None
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield Server(process, json.loads(line))
        finally:
            process.kill()


@pytest.fixture(scope="module")
def run(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a system text and a suffix."""
    folder = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ONESHOT_HOME", str(folder / "home"))
        words = ["train", "--model", tiny, *EXAMPLE, *SMALL, *SHORT, "--save.runs", folder / "runs"]
        words += ["--data.suffix", "Think.", "--data.system", "Be brief.", "--rollout.max-new-tokens", str(TOKENS)]
        assert main([str(word) for word in words]) == 0
    (found,) = (folder / "runs").iterdir()
    return RunFolder(found)


@pytest.fixture(scope="module")
def server(run: RunFolder) -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(dir=run.path.parents[1]))
    with serving(folder, run.path, "--api-key", KEY, "--served-name", "mine") as found:
        yield found


def chat(client: Any, text: str, **more: Any) -> Any:
    options = {"model": "mine", "max_tokens": 6, "temperature": 0} | more
    return client.chat.completions.create(messages=[{"role": "user", "content": text}], **options)


def test_what_is_said_at_the_start(server: Server) -> None:
    assert server.told["schema"] == "oneshot.serve/1"
    assert server.told["model"] == "mine"
    assert server.told["backend"] == "transformers"
    assert server.told["checked"]["same"] is True
    assert "stop ids are those of training" in server.told["checked"]["said"]
    assert server.told["command"][1:4] == ["-m", "transformers.cli.transformers", "serve"]


def test_openais_client(server: Server) -> None:
    with server.client() as client:
        assert [model.id for model in client.models.list()] == ["mine"]
        whole = chat(client, "What is 2 + 3?")
        assert whole.model == "mine"
        assert whole.usage.completion_tokens <= 6
        pieces = list(chat(client, "What is 2 + 3?", stream=True))
        assert {piece.model for piece in pieces} == {"mine"}
        assert "".join(p.choices[0].delta.content or "" for p in pieces) == whole.choices[0].message.content
        prompt = {"model": "mine", "prompt": "2 + 3 =", "max_tokens": 6, "temperature": 0}
        text = client.completions.create(**prompt)
        assert text.object == "text_completion"
        assert "".join(p.choices[0].text for p in client.completions.create(**prompt, stream=True)) == (
            text.choices[0].text
        )


def test_who_is_refused(server: Server) -> None:
    with server.client("wrong") as client, pytest.raises(openai.AuthenticationError) as found:
        chat(client, "2 + 3?")
    assert found.value.status_code == 401
    with server.client() as client:
        with pytest.raises(openai.NotFoundError) as missing:
            chat(client, "2 + 3?", model="other")
        assert missing.value.body["code"] == "model_not_found"
        with pytest.raises(openai.BadRequestError, match="'n' is not offered"):
            chat(client, "2 + 3?", n=2)


@pytest.mark.parametrize("path", ["/reset", "/load_model", "/v1/responses", "/docs"])
def test_routes_of_the_back_end_are_out_of_reach(server: Server, path: str) -> None:
    url = server.told["url"].removesuffix("/v1") + path
    with pytest.raises(HTTPError, match="404"):
        urlopen(Request(url, data=b"{}", headers={"Authorization": f"Bearer {KEY}"}), timeout=60)


def test_greedy_tokens_are_the_native_samplers(server: Server, run: RunFolder) -> None:
    from oneshot.model.policy import load
    from oneshot.stages.serving.model import answers

    policy = load(str(run.checkpoint_dir(1)), home=run.path, offline=True)
    problems = builtin.candidates(0, "add_word", 20)
    with server.client() as client:
        for golden in answers(policy, problems, limit=TOKENS, suffix="Think.", system="Be brief."):
            options = {"model": "mine", "max_tokens": TOKENS, "temperature": 0}
            told = client.chat.completions.create(messages=list(golden.messages), **options)
            assert told.usage.prompt_tokens == len(golden.prompt)
            same, said = golden.compared(told.choices[0].message.content or "", told.usage.completion_tokens)
            assert same, said
            if golden.text == told.choices[0].message.content:
                ended = golden.tokens[-1] in policy.eos_ids
                assert (told.choices[0].finish_reason == "stop") == ended


def test_the_benchmark_walks_to_its_end(run: RunFolder, root: Path) -> None:
    result = result_of(smoke(root, "use_model", str(run.path), good=(0, 1)), "use_model")
    assert set(result["failed"]) <= {"the stop"}  # how fast it stops is measured, not tested
    assert (result["stop"]["status"], result["stop"]["left"]) == (0, [])
    assert result["greedy"]["prompts"] == 3
    assert result["routes"]["elsewhere"] == [404] * 4
    assert [row["same"] for row in result["export"]["verified"]] == [True]


def test_fifty_requests_at_once(server: Server) -> None:
    with server.client() as client, ThreadPoolExecutor(50) as pool:
        alone = chat(client, "1 + 1?").choices[0].message.content

        def ask(number: int) -> str:
            if number % 2:
                return str(chat(client, "1 + 1?").choices[0].message.content)
            return "".join(p.choices[0].delta.content or "" for p in chat(client, "1 + 1?", stream=True))

        assert list(pool.map(ask, range(50))) == [alone] * 50


def test_it_stops_at_once_and_leaves_nothing(train: OneShot, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    run = train(*SHORT, "--model.lora-rank", "4", "--optim.lr", "5e-3").run
    with serving(tmp_path, run.path.resolve()) as server:
        assert server.told["model"] == run.path.name
        assert server.told["checked"]["same"] is True  # the merged model says what model and adapter say
        children = server.children()
        assert len(children) == 2
        with server.client("none is needed") as client:
            stream = chat(client, "1 + 1?", model=run.path.name, max_tokens=100_000, stream=True)
            next(iter(stream))
            server.process.send_signal(signal.SIGTERM)
            _, err = server.process.communicate(timeout=5)
            stream.close()
        assert server.process.returncode == 0
        assert "the server and its back end are stopped" in err
        assert "the adapter is merged into its model" in err
        assert "Traceback" not in err
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)
        assert not list(tmp_path.glob("oneshot-serve-*"))


def test_what_is_refused_starts_nothing(train: OneShot, oneshot: OneShot, tiny: Path, tmp_path: Path) -> None:
    def said(*words: str | Path) -> tuple[int, str]:
        told = oneshot("serve", *words)
        return told.code, told.err.splitlines()[0]

    assert said(tiny, "--host", "0.0.0.0")[0] == 2
    assert said(tiny, "--host", "0.0.0.0")[1].startswith("E105 --host 0.0.0.0 can be reached by other machines")
    assert said(tiny, "--port", "65536") == (2, "E103 --port 65536: a port is a whole number from 0 to 65535.")
    assert said(tiny, "--api-key", "")[1].startswith("E103 --api-key")
    assert said(tiny, "--served-name", "a\nb")[1].startswith("E103 --served-name")
    assert said(tiny, "--offline")[1].startswith("E105 a server listens on a socket")
    assert said("nothing")[1].startswith("E104 there is no run 'nothing'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, line = said(tiny, "--port", port)
        assert (code, line.startswith(f"E103 port {port} of 127.0.0.1 cannot be used")) == (2, True)
    told = oneshot("serve", tiny, "--print")
    assert told.code == 0
    assert told.out.endswith(f"serve {tiny} --host 127.0.0.1 --port 8000 --dtype float32\n")
    run = train(*SHORT).run
    lines = oneshot("serve", f"{run.path}:base", "--print").out.splitlines()
    assert lines[0] == f"oneshot export {run.path}:base --to hf --out ./served"
    for path in run.checkpoints_dir.iterdir():
        path.rename(tmp_path / path.name)
    assert said(run.path) == (2, f"E104 {run.path} has no checkpoint yet.")
