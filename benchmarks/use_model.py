"""Use a trained model as its users do: serve it, ask it with OpenAI's client, stop it, export it, open the export.

    python benchmarks/use_model.py RUN [--store] [--json] [--smoke]

`RUN` is a run folder with a checkpoint, such as `oneshot demo` leaves. Everything goes through the command line:

- `oneshot serve RUN` until it answers; the model list, a chat, a completion, both as streams, each equal to the answer
  that came whole; a wrong key (401), an unknown model and routes of the back end (404).
- greedy answers to 20 test problems of the built-in task, compared with the project's own sampler token by token.
  Only near ties (a gap of the two best logits below 1e-3) may part them.
- 50 requests at once; lost are those that fail or do not say what the same question alone was told.
- SIGTERM in the middle of a stream: seconds until the process has ended (goal: 5), its exit status, what it leaves.
- `oneshot export RUN --to hf --verify`, and the folder opened by transformers in a process that loads nothing of
  this project; its greedy answer to the first problem is compared with the served one.
- `oneshot chat RUN --once --json`.

One run: times are shown with the machine's load and claimed by nothing. Exit 1 where anything differs.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sides import ROOT, options, seconds, tell

KEY, PROMPTS, AT_ONCE, TOKENS, STOP_SECONDS, SEED = "a-key", 20, 50, 48, 5.0, 0
ELSEWHERE = ("/reset", "/load_model", "/v1/responses", "/docs")  # routes of the back end

OPEN = """
import json, sys
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, asked, limit = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt", return_dict=True)
made = model.generate(**prompt, max_new_tokens=limit, do_sample=False)[0, prompt["input_ids"].shape[1] :]
assert not any(name.partition(".")[0] == "oneshot" for name in sys.modules)
print(json.dumps(tokenizer.decode(made, skip_special_tokens=True)))
"""


def oneshot(*words: str | Path) -> list[str]:
    """The command line of the verb."""
    return [sys.executable, "-m", "oneshot", *map(str, words)]


def environment(**more: str) -> dict[str, str]:
    """This process's, from which this checkout is found."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@contextmanager
def serving(run: Path, room: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any], float]]:
    """(process, what it told, seconds until it answered) of a server of the run."""
    words = oneshot("serve", run, "--port", "0", "--api-key", KEY, "--served-name", "trained", "--json")
    start = time.perf_counter()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment(TMPDIR=str(room))) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"oneshot serve {run} ended with status {process.wait()}")
            yield process, json.loads(line), time.perf_counter() - start
        finally:
            process.terminate()  # not killed: it ends its back end too
            process.wait(60)


def golden(run: Path, count: int, limit: int) -> list[Any]:
    """Test problems of the built-in task, of each kind in turn, with what the project's own sampler says to them."""
    from oneshot.data.tasks import builtin
    from oneshot.data.tasks.wordings import SHARED
    from oneshot.stages.exporting.trained import find
    from oneshot.stages.serving.model import answers

    each, words = -(-count // len(builtin.KINDS)), tuple(range(SHARED))
    kinds = [builtin.problems("test", kind, each, task_seed=SEED, wordings=words) for kind in builtin.KINDS]
    problems = [problem for group in zip(*kinds, strict=True) for problem in group][:count]
    trained = find(str(run), run.parent)
    suffix, system = trained.config.evals.suffix, trained.config.data.system
    return answers(trained.load(offline=True), problems, limit=limit, suffix=suffix, system=system)


def streamed(pieces: Any) -> str:
    """A stream's text, of chats and of completions."""
    found = [piece.choices[0] for piece in pieces if piece.choices]
    return "".join((one.delta.content if hasattr(one, "delta") else one.text) or "" for one in found)


def ask(client: Any, asked: Sequence[Any], **more: Any) -> Any:
    """A greedy chat."""
    words: dict[str, Any] = {"model": "trained", "max_tokens": TOKENS, "temperature": 0} | more
    return client.chat.completions.create(messages=list(asked), **words)


def agreement(client: Any, problems: Sequence[Any]) -> dict[str, Any]:
    """How many greedy answers are the native sampler's, to the token; near ties; differences in words."""
    identical, near, different = 0, 0, []
    for one in problems:
        told = ask(client, one.messages, max_tokens=one.limit)
        text, made = told.choices[0].message.content or "", told.usage.completion_tokens
        same, said = one.compared(text, made)
        identical += (exactly := text == one.text and made == len(one.tokens))
        near += same and not exactly
        if not same or told.usage.prompt_tokens != len(one.prompt):
            different.append(f"{one.id}: {said}; {told.usage.prompt_tokens} prompt tokens, not {len(one.prompt)}")
    return {"prompts": len(problems), "identical": identical, "near_ties": near, "differences": different}


def routes(client: Any, wrong: Any, asked: Sequence[Any], url: str) -> dict[str, Any]:
    """Status of what must be refused, and whether streams say what whole answers say."""
    import httpx2
    import openai

    def refused(call: Any) -> int:
        try:
            call()
        except openai.APIStatusError as error:
            return error.status_code
        return 200

    text = {"model": "trained", "prompt": "2 + 3 =", "max_tokens": 8, "temperature": 0}
    whole, completion = ask(client, asked), client.completions.create(**text)
    headers = {"Authorization": f"Bearer {KEY}"}
    return {
        "models": [model.id for model in client.models.list()],
        "chat_streams": [whole.choices[0].message.content, streamed(ask(client, asked, stream=True))],
        "completion_streams": [completion.choices[0].text, streamed(client.completions.create(**text, stream=True))],
        "wrong_key": refused(lambda: ask(wrong, asked)),
        "unknown_model": refused(lambda: ask(client, asked, model="other")),
        "elsewhere": [
            httpx2.post(url.removesuffix("/v1") + r, json={}, headers=headers).status_code for r in ELSEWHERE
        ],
    }


def at_once(client: Any, asked: Sequence[Any], count: int) -> dict[str, Any]:
    """`count` requests at the same time, every other one as a stream."""
    import openai

    def one(number: int) -> str | None:
        try:
            if number % 2:
                return streamed(ask(client, asked, stream=True))
            return str(ask(client, asked).choices[0].message.content)
        except openai.OpenAIError as error:  # a lost request is a result here
            print(f"request {number}: {error}", file=sys.stderr)
            return None

    alone, start = one(0), time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(one, range(count)))
    took = time.perf_counter() - start
    lost = sum(answer is None or not same_text(str(alone), answer) for answer in answers)
    return {"requests": count, "lost": lost, "seconds": took}


def stopped(process: subprocess.Popen[str], client: Any, asked: Sequence[Any], room: Path) -> dict[str, Any]:
    """SIGTERM in the middle of a stream."""
    stream = ask(client, asked, stream=True, max_tokens=100_000)
    next(iter(stream))
    process.send_signal(signal.SIGTERM)
    took = seconds(lambda: process.wait(60))
    stream.close()
    return {"seconds": took, "status": process.returncode, "left": [p.name for p in room.glob("oneshot-serve-*")]}


def exported(run: Path, room: Path, first: Any) -> dict[str, Any]:
    """The plain folder, verified by the verb, then opened without this project."""
    words = oneshot("export", run, "--to", "hf", "--verify", "--json", "--out", room / "hf")
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment(), check=False)
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    code = [sys.executable, "-P", "-c", OPEN, str(room / "hf"), json.dumps(first.messages), str(first.limit)]
    opened = subprocess.run(code, stdout=subprocess.PIPE, text=True, env=clean, cwd=room, check=True)
    text = str(json.loads(opened.stdout.splitlines()[-1]))
    verified = json.loads(done.stdout)["verified"] if done.stdout else []
    return {"status": done.returncode, "verified": verified, "alone_same": first.compared(text, len(first.tokens))[0]}


def chatted(run: Path) -> dict[str, Any]:
    """`oneshot chat RUN --once`: whether base and trained answered."""
    words = oneshot("chat", run, "--once", "--json")
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment(), check=False)
    return {"status": done.returncode, "answers": json.loads(done.stdout) if done.returncode == 0 else None}


def main() -> int:
    """Walk; exit 1 where anything is not as it must be."""
    parser = options(__doc__, repeats=1)
    parser.add_argument("run", type=Path, help="a run folder with a checkpoint")
    arguments = parser.parse_args()
    import openai

    run, small = arguments.run.resolve(), arguments.smoke
    problems = golden(run, 3 if small else PROMPTS, 8 if small else TOKENS)
    first = problems[0]
    result: dict[str, Any] = {"smoke": small, "run": run.name}
    with tempfile.TemporaryDirectory() as place:
        room = Path(place)
        with serving(run, room) as (process, told, took):
            result |= {"backend": told["backend"], "start_seconds": took, "checked": told["checked"]["same"]}
            make = {"base_url": told["url"], "max_retries": 0, "timeout": 600}
            with openai.OpenAI(api_key=KEY, **make) as client, openai.OpenAI(api_key="wrong", **make) as wrong:
                result["routes"] = routes(client, wrong, first.messages, told["url"])
                result["greedy"] = agreement(client, problems)
                result["at_once"] = at_once(client, first.messages, 6 if small else AT_ONCE)
                result["stop"] = stopped(process, client, first.messages, room)
        result["export"] = exported(run, room, first)
    result["chat"] = chatted(run)
    result["failed"] = failures(result)
    tell("use_model", result, store=arguments.store)
    return 1 if result["failed"] else 0


def same_text(whole: str, stream: str) -> bool:
    """Whether both say the same; a stream keeps back a last character that the limit cut in the middle."""
    return whole.rstrip("\ufffd") == stream.rstrip("\ufffd")


def failures(result: dict[str, Any]) -> list[str]:
    """What is not as it must be."""
    asked, stop, made = result["routes"], result["stop"], result["export"]
    rules = {
        "the check at the start": result["checked"] is True,
        "the model list": asked["models"] == ["trained"],
        "the chat as a stream": same_text(*asked["chat_streams"]),
        "the completion as a stream": same_text(*asked["completion_streams"]),
        "who is refused": (asked["wrong_key"], asked["unknown_model"]) == (401, 404),
        "routes of the back end": set(asked["elsewhere"]) == {404},
        "greedy tokens": not result["greedy"]["differences"],
        "requests at once": result["at_once"]["lost"] == 0,
        "the stop": stop["seconds"] <= STOP_SECONDS and stop["status"] == 0 and not stop["left"],
        "the export": made["status"] == 0 and made["alone_same"] and all(row["same"] for row in made["verified"]),
        "the chat": result["chat"]["status"] == 0,
    }
    return [name for name, holds in rules.items() if not holds]


if __name__ == "__main__":
    sys.exit(main())
