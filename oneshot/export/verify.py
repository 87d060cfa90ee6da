"""Does an export say what the trained model says? Greedy tokens and their log-probs, on the same prompts.

The trained side comes from the project's own sampler (`stages/exporting/check.py` hands it in); the exported side is
loaded anew from its folder by transformers alone, without anything of ours. Two greedy answers may part where the two
best logits are closer than rounding: a gap below `NEAR` in float32 is a near tie and no difference, as in
`benchmarks/evaluation.py`. Any other difference is one, and so is a mean |Δ log p| above `LIMIT`.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneshot.errors import DataError
from oneshot.model.shapes import ADAPTER_CONFIG

NEAR = 1e-3
"""Gap of the two best logits below which rounding may decide."""
LIMIT = 1e-3
"""Mean |Δ log p| of two float32 models that are the same: rounding is 1e-6 or so."""
LLAMA = ("llama-completion", "llama-cli")
SECONDS = 300.0
"""For one answer of llama.cpp; a hang must end."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the trained model says to one prompt."""

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    """Greedy, with the end token where there is one."""
    logprobs: tuple[float, ...]
    """log p of each of them, in float32."""
    gaps: tuple[float, ...]
    """The distance between the two best logits where each of them was chosen."""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How an export compares."""

    prompts: int
    identical: int
    near_ties: int
    """Answers that part where the two best logits are within `NEAR`."""
    differences: tuple[str, ...]
    """All others, a sentence each."""
    mean: float | None = None
    """Mean |Δ log p| over the trained model's tokens; None where it was not measured."""
    most: float | None = None

    @property
    def same(self) -> bool:
        """Whether rounding explains everything."""
        return not self.differences and (self.mean is None or self.mean <= LIMIT)

    def sentence(self) -> str:
        """`20 of 20 identical; log-probs differ by 1e-07 in the mean, 2e-06 at most`."""
        text = f"{self.identical} of {self.prompts} identical"
        if self.near_ties:
            text += f", {self.near_ties} part at a near tie (the two best logits within {NEAR:g})"
        if self.differences:
            more = f", and {len(self.differences) - 1} more" if len(self.differences) > 1 else ""
            text += f", {len(self.differences)} DIFFER: {self.differences[0]}{more}"
        if self.mean is not None and self.most is not None:
            text += f"; log-probs differ by {self.mean:.1g} in the mean, {self.most:.1g} at most"
            text += f" (ABOVE the limit of {LIMIT:g})" if self.mean > LIMIT else ""
        return text

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {**self.__dict__, "differences": list(self.differences), "same": self.same}


def scored(model: Any, prompt: Sequence[int], tokens: Sequence[int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(log p, gap of the two best logits) at each of `tokens` after `prompt`, from one forward pass in float32."""
    import torch

    ids = torch.tensor([[*prompt, *tokens]], device=model.device)
    with torch.inference_mode():
        logits_TV = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
        logp_TV = logits_TV.log_softmax(-1)
        best_T2 = logits_TV.topk(2).values
    chosen = logp_TV.gather(-1, ids[0, len(prompt) :, None])[:, 0]
    return tuple(chosen.tolist()), tuple((best_T2[:, 0] - best_T2[:, 1]).tolist())


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer of an exported folder, by transformers alone."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)


def open_folder(folder: Path) -> Any:
    """The model of an exported folder in float32, by transformers or, for an adapter, peft alone.

    Raises:
        DataError: E304 it does not open.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    opened: Any = AutoModelForCausalLM
    if (folder / ADAPTER_CONFIG).is_file():
        from peft import AutoPeftModelForCausalLM

        opened = AutoPeftModelForCausalLM
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for what it calls otherwise now
            model = opened.from_pretrained(str(folder), dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        said = " ".join(str(error).split())[:240]
        raise DataError(f"the export {folder} does not open: {said}", code="E304", kept=f"{folder} is kept.") from error
    return model.eval()


def answers(model: Any, prompts: Sequence[Sequence[int]], limit: int) -> list[tuple[int, ...]]:
    """Greedy answers by transformers' own `generate`, one prompt at a time; they end where its folder says."""
    import torch

    found = []
    for prompt in prompts:
        ids = torch.tensor([list(prompt)], device=model.device)
        out = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=limit,
            pad_token_id=model.generation_config.pad_token_id or 0,
        )
        found.append(tuple(out[0, len(prompt) :].tolist()))
    return found


def compared(
    trained: Sequence[Said], found: Sequence[Sequence[int]], logprobs: Sequence[Sequence[float]] = ()
) -> Agreement:
    """The trained model's answers against others to the same prompts, and log-probs of the trained one's tokens."""
    identical, near, differences = 0, 0, list[str]()
    for number, (one, other) in enumerate(zip(trained, found, strict=True)):
        at = parted(one.tokens, other)
        if at is None:
            identical += 1
        elif at < len(one.gaps) and one.gaps[at] < NEAR:
            near += 1
        else:
            gap = f"the two best logits are {one.gaps[at]:.2g} apart there" if at < len(one.gaps) else "it went on"
            differences.append(f"prompt {number}, token {at}: {gap}")
    apart = [
        abs(a - b)
        for one, other in zip(trained, logprobs, strict=False)
        for a, b in zip(one.logprobs, other, strict=True)
    ]
    return Agreement(
        prompts=len(trained),
        identical=identical,
        near_ties=near,
        differences=tuple(differences),
        mean=sum(apart) / len(apart) if apart else None,
        most=max(apart, default=None),
    )


def parted(one: Sequence[int], other: Sequence[int]) -> int | None:
    """Where two answers part; None where they are equal. The end of the shorter one is a place too."""
    if tuple(one) == tuple(other):
        return None
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def check_folder(folder: Path, trained: Sequence[Said], limit: int, device: Any = "cpu") -> Agreement:
    """Compare a folder with what the trained model said.

    Raises:
        DataError: E304 the folder does not open.
    """
    model = open_folder(folder).to(device)
    found = answers(model, [each.prompt for each in trained], limit)
    return compared(trained, found, [scored(model, each.prompt, each.tokens)[0] for each in trained])


def llama_program(home: str = "") -> str:
    """llama.cpp's program that answers one prompt: in its folder `home`, else in PATH; empty where there is none."""
    places = [str(Path(home).expanduser() / "build" / "bin")] if home else []
    return next((found for name in LLAMA for at in (*places, None) if (found := shutil.which(name, path=at))), "")


def check_gguf(program: str, file: Path, prompts: Sequence[str], trained: Sequence[Said], limit: int) -> Agreement:
    """Compare a GGUF file with the trained model by llama.cpp: texts, since it tells no tokens and no log-probs.

    Its arithmetic, and with a smaller type its weights, are other ones: only an answer that no prompt shares counts as
    a difference, as a wrong template or tokenizer gives it.

    Raises:
        DataError: E304 llama.cpp fails.
    """
    same = 0
    for prompt, one in zip(prompts, trained, strict=True):
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as asked:
            asked.write(prompt)
            asked.flush()
            words = [program, "-m", str(file), "-f", asked.name, "-n", str(limit), "--temp", "0"]
            words += ["-no-cnv", "--no-display-prompt"]
            try:
                done = subprocess.run(
                    words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=SECONDS,
                    check=False,
                )  # fmt: skip
            except (OSError, subprocess.TimeoutExpired) as error:
                raise DataError(f"{program} did not answer: {error}", code="E304", kept=f"{file} is kept.") from error
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            raise DataError(f"{program} failed on {file}: {last[0]}", code="E304", kept=f"{file} is kept.")
        same += done.stdout.strip().removesuffix("[end of text]").strip() == one.text.strip()
    differences = () if same else ("no text is the trained model's",)
    return Agreement(prompts=len(trained), identical=same, near_ties=0, differences=differences)
