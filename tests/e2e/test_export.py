"""`oneshot export` of runs of a tiny model: folders that others open, what is compared, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from safetensors.torch import load_file

from oneshot.record import RunFolder
from tests.e2e.conftest import OneShot
from tests.unit.export.test_gguf import converter

LORA = ("--model.lora-rank", "4", "--optim.lr", "5e-3")
SHORT = ("--steps", "2", "--save.every", "1", "--allow-unsolved", "--yes")
ALONE = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
ids = tokenizer.apply_chat_template([{"role": "user", "content": "2 + 3?"}], add_generation_prompt=True,
                                    return_tensors="pt", return_dict=True)
out = model.generate(**ids, max_new_tokens=4, do_sample=False)
assert "oneshot" not in sys.modules
print(model.config.architectures, model.dtype, model.generation_config.eos_token_id, out.shape[0],
      model.get_output_embeddings().weight.data_ptr() == model.get_input_embeddings().weight.data_ptr())
"""


@pytest.fixture
def run(train: OneShot) -> RunFolder:
    return train(*SHORT).run


@pytest.fixture
def lora(train: OneShot) -> RunFolder:
    return train(*SHORT, *LORA).run


def test_a_plain_folder_opens_with_transformers_alone(run: RunFolder, oneshot: OneShot, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = oneshot("export", run.path, "--to", "hf", "--out", out, "--verify")
    assert told.code == 0, told.err
    assert told.out.strip() == str(out)
    assert "20 of 20 identical" in told.err
    assert {path.name for path in out.iterdir()} == {
        "chat_template.jinja", "config.json", "generation_config.json", "model.safetensors", "oneshot.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error::DeprecationWarning", "-c", ALONE, str(out)],
        capture_output=True, text=True, env=environment, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["['LlamaForCausalLM']", "torch.float32", "0", "1", "True"]
    saved, trained = load_file(out / "model.safetensors"), load_file(run.checkpoint_dir(2) / "model.safetensors")
    assert saved.keys() == trained.keys()
    assert "lm_head.weight" not in saved
    assert all(torch.equal(saved[name], trained[name]) for name in saved)


def test_a_cast_is_said_and_compared_with_what_was_rounded(run: RunFolder, oneshot: OneShot) -> None:
    words = ("export", f"{run.path}:checkpoint-1", "--to", "hf", "--model.dtype", "bfloat16", "--verify", "--json")
    told = oneshot(*words)
    assert told.code == 0, told.err
    assert told.json["dtype"] == "bfloat16"
    assert told.json["checkpoint"] == "checkpoint-1"
    path = Path(told.json["exports"][0]["path"])
    assert path == run.path / "exports" / "checkpoint-1" / "hf"
    assert {t.dtype for t in load_file(path / "model.safetensors").values()} == {torch.bfloat16}
    (row,) = told.json["verified"]
    assert row["same"] is True
    assert "to the trained model rounded to bfloat16" in row["said"]


def test_an_adapter_leaves_as_it_is_or_merged(lora: RunFolder, oneshot: OneShot) -> None:
    told = oneshot("export", lora.path, "--to", "adapter,merged", "--verify")
    assert told.code == 0, told.err
    assert told.err.count("20 of 20 identical") == 2
    assert "the adapter was merged into its model in float32" in told.err
    root = lora.path / "exports" / "checkpoint-2"
    assert told.out.split() == [str(root / "adapter"), str(root / "merged")]
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (root / "adapter" / name).read_bytes() == (lora.checkpoint_dir(2) / name).read_bytes()
    assert not (root / "merged" / "adapter_config.json").exists()


def test_the_base_and_the_whole_are_different_models(run: RunFolder, oneshot: OneShot, tiny: Path) -> None:
    assert oneshot("export", f"{run.path}:base", "--to", "hf").code == 0
    saved = load_file(run.path / "exports" / "base" / "hf" / "model.safetensors")
    start = load_file(tiny / "model.safetensors")
    assert all(torch.equal(saved[name], start[name]) for name in start)


def test_a_difference_is_exit_1(run: RunFolder, oneshot: OneShot, monkeypatch: pytest.MonkeyPatch) -> None:
    from oneshot.export import folders

    write = folders.write_model

    def spoiled(policy: object, folder: Path) -> list[str]:
        with torch.no_grad():
            policy.head.mul_(-1)  # type: ignore[attr-defined]
        return write(policy, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(folders, "write_model", spoiled)
    told = oneshot("export", run.path, "--to", "hf", "--verify", "--json")
    assert told.code == 1
    assert told.json["verified"][0]["same"] is False
    assert "DIFFER" in told.json["verified"][0]["said"]


def test_ollama_and_gguf_beside_each_other(run: RunFolder, oneshot: OneShot, tmp_path: Path) -> None:
    script = converter(tmp_path / "llama")
    told = oneshot("export", run.path, "--to", "ollama,gguf", "--converter", script, "--verify")
    assert told.code == 0, told.err
    assert "20 of 20 prompts identical; Ollama itself was not run" in told.err
    assert "gguf: not verified: neither llama-completion" in told.err
    root = run.path / "exports" / "checkpoint-2"
    name = f"{run.path.name}-checkpoint-2-f32.gguf"
    assert (root / "gguf" / name).read_text().endswith("f32")
    file = (root / "ollama" / "Modelfile").read_text()
    assert f"FROM ../gguf/{name}\n" in file
    assert 'PARAMETER stop "<|end|>"' in file
    assert "PARAMETER num_predict 8\n" in file
    assert sorted(path.name for path in root.iterdir()) == ["gguf", "ollama"]
    alone = oneshot("export", run.path, "--to", "ollama", "--out", tmp_path / "o")
    assert alone.code == 0, alone.err
    assert "FROM ./model\n" in (tmp_path / "o" / "Modelfile").read_text()
    assert (tmp_path / "o" / "model" / "config.json").is_file()


def test_verl(train: OneShot, oneshot: OneShot, tiny: Path) -> None:
    run = train(*SHORT, "--data.suffix", "Think.", "--rollout.groups", "3").run
    told = oneshot("export", run.path, "--to", "verl", "--verify")
    assert told.code == 0, told.err
    assert "3 of 3 training prompts" not in told.err  # one example, however often it is repeated
    assert "1 of 1 training prompts identical" in told.err
    root = Path(told.out.strip())
    rows = pyarrow.parquet.read_table(root / "train.parquet").to_pylist()
    assert len(rows) == 3
    assert rows[0]["prompt"] == [{"role": "user", "content": "What is 2 + 3? Think."}]
    assert rows[0]["reward_model"] == {"style": "rule", "ground_truth": "5"}
    assert set(rows[0]) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    script = (root / "train_grpo.sh").read_text()
    assert f"actor_rollout_ref.model.path={tiny}" in script
    assert subprocess.run(["bash", "-n", str(root / "train_grpo.sh")], check=False).returncode == 0
    scope: dict[str, object] = {}
    exec(compile((root / "reward.py").read_text(), "reward.py", "exec"), scope)
    score = scope["compute_score"]
    assert callable(score)
    assert (score("x", "it is 5", "5"), score("x", "it is 6", "5")) == (1.0, 0.0)


def test_what_is_refused_writes_nothing(run: RunFolder, lora: RunFolder, oneshot: OneShot, tmp_path: Path) -> None:
    def said(*words: str | Path) -> tuple[int, str]:
        told = oneshot("export", *words)
        return told.code, told.err.splitlines()[0]

    assert said(run.path)[1].startswith("E105 oneshot export needs --to: hf, adapter")
    assert said(run.path, "--to", "ggfu")[1].startswith("E102 unknown export 'ggfu'. Did you mean 'gguf'?")
    assert said(f"{run.path}:checkpoint-7", "--to", "hf")[1].startswith(f"E102 {run.path} has no checkpoint")
    assert said(f"{run.path}:bset", "--to", "hf")[1].endswith("It has: checkpoint-1, checkpoint-2, best, base.")
    assert said("nothing", "--to", "hf")[1].startswith("E104 there is no run 'nothing'")
    assert said(run.path, "--to", "adapter")[1].startswith("E105 checkpoint-2 of")
    assert said(run.path, "--to", "hf", "--gguf-type", "f16")[1] == "E105 --gguf-type is for --to gguf."
    assert said(run.path, "--to", "gguf", "--gguf-type", "f61")[1].startswith("E103 --gguf-type 'f61' is not")
    assert said(run.path, "--to", "gguf", "--converter", tmp_path)[1].startswith("E106 there is no converter")
    code, text = said(run.path, "--to", "hf", "--out", tmp_path)
    assert (code, text) == (2, f"E104 {tmp_path} exists already; an export replaces nothing.")
    assert not (run.path / "exports").exists()
    shutil.rmtree(run.checkpoints_dir)
    assert said(run.path, "--to", "hf") == (2, f"E104 {run.path} has no checkpoint yet.")


def test_a_damaged_checkpoint_is_not_exported(run: RunFolder, oneshot: OneShot) -> None:
    (run.checkpoint_dir(2) / "tokenizer.json").write_text("{}")
    told = oneshot("export", run.path, "--to", "hf")
    assert told.code == 2
    assert "is damaged: tokenizer.json is not what was written" in told.err
    assert f"try: {run.path}:checkpoint-1" in told.err


def test_an_architecture_the_converter_lacks(run: RunFolder, oneshot: OneShot, tmp_path: Path) -> None:
    script = converter(tmp_path / "llama")
    script.write_text(script.read_text().replace("LlamaForCausalLM", "OtherForCausalLM"))
    told = oneshot("export", run.path, "--to", "hf,gguf", "--converter", script)
    assert told.code == 4
    assert "does not support LlamaForCausalLM" in told.err
    assert not (run.path / "exports").exists()


def test_an_adapter_whose_base_is_gone(train: OneShot, oneshot: OneShot, tiny: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny, tmp_path / "mine")
    run = train(*SHORT, *LORA, "--model", tmp_path / "mine").run
    shutil.rmtree(tmp_path / "mine")
    told = oneshot("export", run.path, "--to", "merged", "--json")
    assert told.code == 4
    assert "which cannot be loaded" in told.err
    assert json.loads(told.out)["code"] == "E304"
    assert not (run.path / "exports").exists()
