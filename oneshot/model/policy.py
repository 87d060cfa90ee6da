"""Load and save a policy: a causal language model, its tokenizer, and the tokens that end a response."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors import SafetensorError

from oneshot._store import folders
from oneshot.errors import DataError, MachineError
from oneshot.model import adapters, embedded
from oneshot.model.machine import usable_cores
from oneshot.model.shapes import ADAPTER_CONFIG

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The one weight copy that sampler and learner share."""

    model: Any
    """A transformers causal LM in eval mode (dropout off), SDPA attention."""
    tokenizer: Any
    eos_ids: frozenset[int]
    """Every end-of-sequence id of the generation config, else of the tokenizer."""
    name: str

    @property
    def decoder(self) -> nn.Module:
        """The model without its head: token ids to hidden states."""
        decoder: nn.Module = self.model.get_decoder()
        return decoder

    @property
    def head(self) -> Tensor:
        """The output matrix [V, H]."""
        weight: Tensor = self.model.get_output_embeddings().weight
        return weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.device

    @property
    def adapted(self) -> bool:
        """Whether an adapter is trained (LoRA) and the model's own weights are frozen."""
        return adapters.adapted(self.model)

    @contextmanager
    def initial(self) -> Iterator[nn.Module]:
        """The model with its initial weights, without a second copy: of an adapted policy, with the adapter off.

        For forward passes without gradients. A policy all of whose weights are trained has no such model.
        """
        assert self.adapted, "a policy without an adapter keeps no initial weights"
        with adapters.switched_off(self.model):
            yield self.model

    @property
    def saved(self) -> list[nn.Parameter]:
        """What a checkpoint holds: the adapter where there is one, else every weight (a tied matrix once)."""
        return list((adapters.tensors(self.model).values()) if self.adapted else self.model.parameters())

    def decode(self, tokens: Sequence[int]) -> str:
        """Response text, without the end-of-sequence token and other special tokens."""
        text: str = self.tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text


def attends_to_everything(policy: Policy) -> bool:
    """Whether every layer is full causal attention, so that prefix-tree packing is exact.

    Sliding-window, recurrent and hybrid layers are not; they get padded micro-batches.
    """
    config = policy.model.config
    kinds = getattr(config, "layer_types", None)
    if kinds is not None:
        return set(kinds) == {"full_attention"}
    if getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True):
        return False
    return config.model_type in ("llama", "qwen2", "qwen3", "mistral", "smollm3", "olmo2", "gpt_neox", "phi3")


def gpu_memory() -> int | None:
    """Free bytes of the GPU the model would go to; None without one (the CPU's memory counts then)."""
    return torch.cuda.mem_get_info()[0] if torch.cuda.is_available() else None


def set_threads(threads: int) -> int:
    """Use `threads` CPU threads; 0 means as many cores as this process may run on. Returns the number in use."""
    torch.set_num_threads(threads or usable_cores())
    return torch.get_num_threads()


def dtype_of(name: str, device: torch.device) -> torch.dtype:
    """`auto` is float32, on a CPU the faster one too; for CUDA `precision.settled` has written bfloat16 by then."""
    if name == "auto":
        return torch.float32
    if name in ("float32", "bfloat16"):
        return torch.float32 if name == "float32" else torch.bfloat16
    raise DataError(f"model.dtype {name!r} is not auto, float32 or bfloat16 (asked for on {device}).", code="E103")


def find(name: str, *, home: Path, offline: bool) -> str:
    """A model name as something transformers can open: the embedded model becomes its cached folder."""
    return str(embedded.ensure(home, offline=offline)) if name == embedded.NAME else name


def load(name: str, *, home: Path, offline: bool, revision: str = "", dtype: str = "auto") -> Policy:
    """Load a policy from the embedded model's name, a local folder, or a Hub id (never run against the Hub in CI).

    The folder of an adapter gives an adapted policy: the model it belongs to, as its file names it, with the adapter.

    Raises:
        MachineError: E203 the Hub is needed and cannot be reached, E204 peft is needed and missing.
        DataError: E304 the folder or repository holds no usable causal language model.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    path = find(name, home=home, offline=offline)
    if adapters.is_adapter(Path(path)):
        return _load_adapter(name, Path(path), home=home, offline=offline, dtype=dtype)
    local = _is_folder(name, path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kwargs: dict[str, Any] = {"local_files_only": local or offline}
    if revision:
        kwargs["revision"] = revision
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **kwargs)
        model, report = cast(Any, AutoModelForCausalLM).from_pretrained(
            path, dtype=dtype_of(dtype, device), attn_implementation="sdpa", output_loading_info=True, **kwargs
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unusable(name, error, local=local, offline=offline) from error
    if missing := sorted(report["missing_keys"]):  # transformers fills them with random numbers
        raise DataError(f"{name} holds no weights for {missing[0]} ({len(missing)} missing).", code="E304")
    if adapters.adapted(model):
        raise DataError(
            f"{name} is an adapter on the Hub; adapters are read from folders.",
            code="E304",
            tries=(f"hf download {name} --local-dir ./adapter   (then --model ./adapter)",),
        )
    model = model.to(device).eval()
    return Policy(model=model, tokenizer=tokenizer, eos_ids=_eos_ids(model, tokenizer), name=name)


def _load_adapter(name: str, folder: Path, *, home: Path, offline: bool, dtype: str) -> Policy:
    """The model an adapter belongs to, the adapter in it, and the tokenizer kept with the adapter."""
    from transformers import AutoTokenizer

    config = adapters.read(folder)
    base = adapters.base_of(config)
    try:
        if adapters.is_adapter(Path(base)):
            raise DataError("that is an adapter too.", code="E304")
        policy = load(base, home=home, offline=offline, revision=config.revision or "", dtype=dtype)
    except (DataError, MachineError) as error:
        raise type(error)(
            f"the adapter {name} belongs to {base}, which cannot be loaded: {error.message}",
            code=error.code,
            tries=(f"put that model back, or name its new place in {folder / ADAPTER_CONFIG}", *error.tries),
            kept=error.kept,
        ) from error
    adapters.restore(policy.model, config, folder)
    if (folder / "tokenizer_config.json").is_file():
        policy = replace(policy, tokenizer=AutoTokenizer.from_pretrained(str(folder), local_files_only=True))
    return replace(policy, name=name)


def _eos_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    ids = model.generation_config.eos_token_id
    ids = tokenizer.eos_token_id if ids is None else ids
    if ids is None:
        tries = ("put eos_token_id into the model's generation_config.json", "--model smollm2-135m")
        raise DataError("the model names no end-of-sequence token, so no response can end.", code="E304", tries=tries)
    return frozenset([ids] if isinstance(ids, int) else ids)


def _is_folder(name: str, path: str) -> bool:
    """Whether a model is a local folder; E304 for a folder without a model, and for a path where there is none."""
    folder = Path(path)
    tries = ("--model ./path/to/a/local/folder", "--model smollm2-135m   (embedded, needs no hub)")
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"the folder {name} holds no model: it has no config.json.", code="E304", tries=tries)
        return True
    if name.startswith((".", "/", "~")) or name.count("/") > 1:  # a Hub id is NAME or OWNER/NAME
        raise DataError(f"there is no model folder {name}.", code="E304", tries=tries)
    return False


def _unusable(name: str, error: Exception, *, local: bool, offline: bool) -> DataError | MachineError:
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if local or not isinstance(error, OSError):  # found, and no good
        said = said if len(said) > 80 else " ".join(str(error).split())[:240] or said
        return DataError(
            f"{name} cannot be loaded as a causal language model: {said}",
            code="E304",
            tries=(f"ls {name}" if local else "--model ./path/to/a/local/folder", "--model smollm2-135m"),
        )
    why = "--offline was given" if offline else "it is neither a local folder nor reachable on the Hub"
    return MachineError(
        f"{name} is not in the cache and {why}: {said}",
        code="E203",
        tries=("--model smollm2-135m   (embedded, needs no hub)", "--model ./path/to/a/local/folder"),
        kept="Nothing was changed.",
    )


def save(policy: Policy, target: Path) -> None:
    """Write a plain Hugging Face folder atomically, with checksums: a temporary name beside it, then a rename.

    An adapted policy becomes an adapter folder in peft's format, without the frozen weights.

    Raises:
        MachineError: E202 when the disk is full; no half-written folder is left.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        if policy.adapted:
            adapters.write(policy.model, made)
        else:
            policy.model.save_pretrained(made)
        policy.tokenizer.save_pretrained(made)
        made.chmod(0o755)
        folders.seal(made)
        folders.put(made, target)
    except (OSError, SafetensorError) as error:  # safetensors reports a full disk in its own way
        raise MachineError(
            f"the checkpoint {target} could not be written: {error}.",
            code="E202",
            tries=(f"df -h {target.parent}",),
            kept="Checkpoints written before it are whole.",
        ) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
