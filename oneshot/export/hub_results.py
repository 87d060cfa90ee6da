"""Evaluation results for a model's repository on the Hugging Face Hub: `.eval_results/*.yaml`.

Format: huggingface.co/docs/hub/eval-results and `huggingface_hub` 2.4, `EvalResultEntry`: a list of entries with
`dataset.id`, `dataset.task_id`, `dataset.revision`, `value`, `date`, `notes`. The Hub shows an entry where the data set
is registered there as a benchmark and has a task of that id in its `eval.yaml`; it is in beta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from oneshot.data.tasks.loading import origin_of
from oneshot.data.tasks.task import Hub
from oneshot.export.recorded import Recorded, Say, clean, file_name

REGISTERED: Mapping[str, str] = {"openai/gsm8k": "gsm8k"}
"""Data sets seen to be registered -> the id of the task: the page above links the `eval.yaml` of openai/gsm8k, and
public results name its task so. Of others neither was seen."""
UNSEEN_TASK = "default"
"""The id the page's own example has."""


def export(evaluations: Sequence[Recorded], date: datetime, say: Say) -> dict[str, bytes]:
    """`hub/<checkpoint>/.eval_results/<task>.yaml`, to be uploaded with the model.

    Left out, and told: a task that has no data set on the Hub, a part of a task's problems, rows that are not the
    known ones, another prompt.
    """
    contents: dict[str, bytes] = {}
    for found in evaluations:
        if why := _left_out(found):
            say(f"hub: {found.name}, {found.checkpoint} is left out: {why}")
            continue
        assert found.task.hub is not None, "`_left_out` has looked"
        if found.task.hub.name not in REGISTERED:
            say(
                f"hub: {found.task.hub.name} was not seen to be a registered benchmark: compare dataset.id and task_id "
                f"of {found.name} with the eval.yaml of a benchmark before you upload it"
            )
        file = f"hub/{file_name(found.checkpoint)}/.eval_results/{file_name(found.name)}.yaml"
        contents[file] = _yaml([entry(found, found.task.hub, date)])
    return contents


def _left_out(found: Recorded) -> str:
    if found.task.hub is None:
        return "the task is no data set of the Hub"
    if found.limit:
        return f"it has the first {found.limit} problems only, and a benchmark's result is about all of them"
    rows, digest = int(found.data.get("rows") or found.results["n"]), str(found.data.get("digest") or "")
    if found.task.count and rows != found.task.count:
        return f"it has {rows:,} rows, and the benchmark has {found.task.count:,}"
    if found.task.digest and digest and digest != found.task.digest:
        return f"its rows (sha256 {digest[:12]}) are not those known of the benchmark ({found.task.digest[:12]})"
    if missing := int(found.results.get("missing") or 0):
        return f"{missing} problems have no response, and a benchmark's result is about all of them"
    if found.variant:
        return f"its prompt ({found.variant}) is not the task's, so it is no result of the model alone"
    return ""


def entry(found: Recorded, hub: Hub, date: datetime) -> dict[str, Any]:
    """One result. `value` is in percent, as public results of GSM8K are; of log-likelihoods it is `acc`."""
    dataset = {"id": hub.name, "task_id": REGISTERED.get(hub.name, hub.config or UNSEEN_TASK)}
    if hub.revision and found.data.get("origin") == origin_of(hub):
        dataset["revision"] = hub.revision
    return {
        "dataset": dataset,
        "value": round(100 * float(found.results["value"]), 2),
        "date": date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "notes": notes(found),
    }


def notes(found: Recorded) -> str:
    """In one line: what was counted, its interval, and how it was asked and graded."""
    results, protocol = found.results, found.protocol
    samples = int(results.get("samples", 1))
    low, high = (100 * float(results[key]) for key in ("ci_low", "ci_high"))
    what = "acc by log-likelihood" if found.likelihood else f"avg@{samples}" if samples > 1 else "accuracy"
    parts = [
        f"{what} in percent over {results['n']} problems",
        f"95% interval {low:.2f} to {high:.2f} ({results.get('method', 'Wilson')})",
    ]
    if not found.likelihood and "temperature" in protocol:  # of stored responses it is not known
        parts.append(f"temperature {protocol['temperature']:g}" if protocol["temperature"] else "greedy")
        parts.append(f"at most {protocol['max_new_tokens']} new tokens")
        parts.append(f"suffix {protocol['suffix']!r}" if protocol.get("suffix") else "no suffix")
    if not found.likelihood:
        parts.append(f"grader {found.grader} {protocol.get('grader_version', '')}".strip())
    if digest := str(found.data.get("digest", "")):
        parts.append(f"rows sha256 {digest[:16]}")
    if version := protocol.get("libraries", {}).get("oneshot"):
        parts.append(f"oneshot-rlvr {version}")
    return ", ".join(parts)


def _yaml(entries: list[dict[str, Any]]) -> bytes:
    import yaml

    text: str = yaml.safe_dump(clean(entries), sort_keys=False, allow_unicode=True, width=10_000)
    return text.encode()
