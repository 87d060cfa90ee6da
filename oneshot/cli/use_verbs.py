"""The verbs that take a trained model elsewhere. Plain data, nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping

from oneshot.cli.verb import Flag, Verb

USING: Mapping[str, Verb] = {
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
}
