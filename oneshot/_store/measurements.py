"""What is measured beside the readings: drift from the base, and the transfer map. Loads no torch.

drift_answers.jsonl   the base's greedy answers that drift is measured on, as tokens, one row a prompt
drift.jsonl           one row a reading of the dev set
transfer_map.json     cosines of gradients at the base
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from oneshot._store import files

DRIFT = "drift.jsonl"
ANSWERS = "drift_answers.jsonl"
MAP = "transfer_map.json"


class Measurements:
    """What a run folder knows of its drift and its transfer map (docs/drift.md)."""

    path: Path

    def drift(self) -> list[dict[str, Any]]:
        """One row a step (steps done) in step order, the last written of each; empty where drift was not measured.

        `checkpoint`, `step`, `kl` (nats a token), `kl_se` (by prompt; null with one prompt), `tokens`, `prompts`,
        `weight_norm`, `weight_distance` (null where the initial weights could not be had), `seconds`.
        """
        rows = {int(row["step"]): row for row in files.read_lines(self.path / DRIFT)}
        return [rows[step] for step in sorted(rows)]

    def write_drift(self, row: Mapping[str, Any]) -> None:
        """Append a row. `MachineError` E202 on a full disk; the rows before are intact."""
        files.append_line(self.path / DRIFT, row)

    def drift_answers(self) -> list[dict[str, Any]]:
        """The base's answers: `id`, `prompt` and `answer` (token ids), `finished`; empty before they are sampled."""
        return files.read_lines(self.path / ANSWERS)

    def write_drift_answers(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write them, whole or not at all. `MachineError` E202 on a full disk."""
        files.write_bytes(self.path / ANSWERS, files.json_lines(rows))

    def transfer_map(self) -> dict[str, Any]:
        """What `write_transfer_map` wrote; empty where there is none."""
        return files.read_json(self.path / MAP)

    def write_transfer_map(self, body: Mapping[str, Any]) -> None:
        """Write it, whole or not at all. `MachineError` E202 on a full disk."""
        files.write_bytes(self.path / MAP, files.dumps(body, indent=2).encode() + b"\n")
