"""Upload one folder to the Hugging Face Hub, through a client that is handed in. Nothing here runs unasked.

`client` is `huggingface_hub.HfApi()` or anything with its methods: tests hand in a fake and open no socket.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oneshot.data.hub import failures
from oneshot.errors import MachineError, UsageError

_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
ALLOWED = (
    "README.md",
    "*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "chat_template.jinja",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
"""What is uploaded. No optimiser state, no rollouts and no evaluations have such names, wherever they came from."""


def check_name(repo: str) -> None:
    """Refuse what is no USER/NAME. `UsageError` E103."""
    if not _REPO.fullmatch(repo) or len(repo) > 96 or ".." in repo or "--" in repo or repo.endswith((".git", ".", "-")):
        raise UsageError(
            f"{repo!r} is no repository of the Hub: it is USER/NAME, of letters, digits, '-', '_' and '.'.",
            code="E103",
            tries=("oneshot push RUN your-name/your-model --dry-run",),
        )


def connect() -> Any:
    """The Hub's client, with the token of this machine.

    Raises:
        MachineError: E203 there is no token.
    """
    from huggingface_hub import HfApi, get_token

    if not get_token():
        raise MachineError(
            "the Hub takes an upload with a token only, and none is set on this machine.",
            code="E203",
            tries=("hf auth login", "oneshot push RUN USER/NAME --dry-run   (needs none)"),
            kept="Nothing was uploaded.",
        )
    return HfApi()


def upload(
    client: Any,
    repo: str,
    folder: Path,
    *,
    public: bool,
    revision: str,
    message: str,
    say: Callable[[str], None] = lambda text: None,
) -> str:
    """Make the repository where it is missing, and upload the folder as one commit; returns its address.

    Raises:
        UsageError: E105 the repository is there and public, and `public` was not asked for.
        MachineError: E203 the Hub refuses or cannot be reached; a commit is there whole or not at all.
    """
    done = "Nothing was uploaded."
    refusals: tuple[type[Exception], ...] = (OSError, ValueError, *failures())
    try:
        client.create_repo(repo, private=not public, repo_type="model", exist_ok=True)
        private = bool(client.repo_info(repo, repo_type="model").private)
        if not private and not public:
            raise UsageError(
                f"{repo} is there already and public, and --public was not given.",
                code="E105",
                tries=("the same command with --public", "oneshot push RUN USER/ANOTHER-NAME"),
                kept=done,
            )
        if private and public:
            say(f"{repo} is there already and private; it stays so (its settings on the Hub change that)")
        if revision:
            client.create_branch(repo, branch=revision, repo_type="model", exist_ok=True)
        found = client.upload_folder(
            repo_id=repo,
            folder_path=str(folder),
            repo_type="model",
            revision=revision or None,
            commit_message=message,
            allow_patterns=list(ALLOWED),
        )
    except refusals as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise MachineError(
            f"the Hub did not take {repo}: {said[0]}",
            code="E203",
            tries=("hf auth whoami   (a token needs the right to write)", "the same command again"),
            kept=done,
        ) from error
    return str(getattr(found, "commit_url", "") or f"https://huggingface.co/{repo}")
