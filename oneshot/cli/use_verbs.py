"""The verbs that take a trained model elsewhere. Plain data, nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping

from oneshot.cli.verb import Flag, Verb

USING: Mapping[str, Verb] = {
    "chat": Verb(
        "oneshot.stages.chat:main",
        "Ask base and trained the same question and watch both answer, put as in the run's evaluation.",
        positional=("RUN[:CHECKPOINT]|MODEL",),
        flags=(
            Flag("problem", "A question, a text file, or a data file whose rows are asked in turn.", "FILE|TEXT"),
            Flag("once", "Ask only that (of a run without --problem: its example) and end."),
            Flag("temperature", "0 takes the best token (default); else tokens are drawn.", "T"),
        ),
        settings=(
            "seed",
            "model.dtype",
            "model.revision",
            "model.threads",
            "data.system",
            "evals.suffix",
            "evals.max_new_tokens",
            "save.runs",
        ),
        short={"system": "data.system", "suffix": "evals.suffix", "max-new-tokens": "evals.max_new_tokens"},
    ),
    "serve": Verb(
        "oneshot.stages.serve:main",
        "An OpenAI-compatible endpoint for a run's model or any model, by vLLM or transformers. Needs the extra serve.",
        positional=("RUN[:CHECKPOINT]|MODEL",),
        flags=(
            Flag("port", "Port (default: 8000; 0: any free one).", "N"),
            Flag(
                "host", "Address to listen on (default: 127.0.0.1); another one than this machine's needs a key.", "IP"
            ),
            Flag("api-key", "Answer only requests with this key.", "K"),
            Flag("served-name", "What clients call the model (default: the name of the run or model).", "NAME"),
            Flag("print", "Print the commands that do this by hand, and start nothing."),
        ),
        settings=("model.dtype", "model.revision", "model.threads", "save.runs"),
    ),
    "export": Verb(
        "oneshot.stages.export:main",
        "A run's model as other tools open it: a plain folder, an adapter, GGUF, Ollama, or data to go on with verl.",
        positional=("RUN[:CHECKPOINT]",),
        flags=(
            Flag("to", "hf, adapter, merged, gguf, ollama or verl; several separated by commas.", "KINDS"),
            Flag("out", "The new folder; of several kinds, its parent (default: RUN/exports/CHECKPOINT/KIND).", "DIR"),
            Flag("verify", "Open each export anew and compare 20 greedy answers with the trained model's."),
            Flag("converter", "llama.cpp's convert_hf_to_gguf.py (default: in LLAMA_CPP, else in PATH).", "FILE"),
            Flag("gguf-type", "f32, f16, bf16, q8_0 or auto (default: what keeps the weights exactly).", "TYPE"),
        ),
        settings=("model.dtype", "save.runs"),
    ),
    "push": Verb(
        "oneshot.stages.push:main",
        "Upload a run's model to the Hugging Face Hub, private unless told otherwise, with a card that tells it all.",
        positional=("RUN[:CHECKPOINT]", "USER/NAME"),
        flags=(
            Flag("to", "hf, merged or adapter (default: the adapter where its base is on the Hub, else hf).", "KIND"),
            Flag("public", "Let everybody see it."),
            Flag("dry-run", "Print the card and the files with their sizes, and upload nothing."),
            Flag("revision", "Upload to this branch, which is made if it is missing.", "BRANCH"),
        ),
        settings=("model.dtype", "save.runs"),
    ),
    "fetch": Verb(
        "oneshot.stages.fetch:main",
        "Put models and tasks on this machine, so that --offline finds them; with -c those that a recipe names.",
        positional=("[MODEL|TASK|SUITE ...]",),
        settings=("model.revision", "evals.data_dir"),
        short={"data-dir": "evals.data_dir"},
    ),
    "completion": Verb(
        "oneshot.cli.completion:main",
        "Print a script that completes verbs, flags and names in a shell.",
        positional=("bash|zsh|fish",),
    ),
}
