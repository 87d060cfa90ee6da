"""What `oneshot eval` prints for people: within 80 columns, every number with its interval or its n."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from oneshot.stages.display import printable
from oneshot.stages.evals import best
from oneshot.stages.evals.claims import chosen_here, said

WIDTH = 80
PARTS = 12
"""Categories or levels listed; --json has all."""
GRADES = ("strict", "lenient", "forced")
RATES = ("found", "cut", "repeated")
_NAME = 26


def text(answer: Mapping[str, Any], ks: Sequence[int] = ()) -> str:
    """The whole table; `ks` are the k of pass@k and maj@k that are shown, empty for a ladder of them."""
    blocks = [_task(name, told, ks) for name, told in answer["tasks"].items()]
    means = [
        _macro(name, answer[key]) for key, name in (("macro_base", "base, mean"), ("macro", "mean")) if key in answer
    ]
    if "paired" in answer.get("macro", {}):
        means += difference("paired, mean of the tasks", answer["macro"]["paired"])
    blocks += [means] if means else []
    blocks += [[answer["no_macro"]]] if "no_macro" in answer else []
    blocks += [[f"{name}: not measured ({error['code']})"] for name, error in answer.get("failed", {}).items()]
    return "\n\n".join("\n".join(line for part in block for line in _fitted(printable(part))) for block in blocks)


def _fitted(line: str) -> list[str]:
    """A line that is too long, broken between words and indented further."""
    if len(line) <= WIDTH:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    words = line.strip()
    return textwrap.wrap(words, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False)


def _task(name: str, told: Mapping[str, Any], ks: Sequence[int]) -> list[str]:
    """A headline, one line an evaluation, differences, shares, curves, parts, and what the numbers can tell."""
    shown = _evaluations(name, told)
    values = told if "value" in told else next(iter(shown.values()))
    lines = [f"{name}: {_size(values)}"] if [*shown] != [name] else []
    indent = "  " if lines else ""
    for label, each in shown.items():
        lines += [indent + line for line in _accuracy(label, each)]
    lines += _differences(told)
    if chosen := told.get("chosen_by"):
        lines.append(
            f"  {chosen['checkpoint']} was chosen by {chosen['problems']} of these problems (dev set {chosen['dev']}): "
            f"its value on them is too high{', and no gain is claimed' if chosen_here(told) else ''}"
        )
    if "best_on_test" in told:
        lines.append(f"  {best.sentence(told['best_on_test'])}")
    if "no_best_on_test" in told:
        lines.append(f"  {told['no_best_on_test']}")
    lines += _shares(shown)
    for label, each in shown.items():
        lines += _curves(each, ks, "" if len(shown) == 1 else f"{label}: ")
    for part in ("categories", "levels"):
        lines += _parts(part, values.get(part) or {})
    return lines + _limits(values, told.get("base", values), paired="paired" in told)


def _evaluations(name: str, told: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Label -> values, in the order of the lines: base, its baselines, then every checkpoint."""
    found: dict[str, Mapping[str, Any]] = {}
    if "base" in told:
        found["base"] = told["base"]
    elif "checkpoint" not in told and "value" in told:
        found["base" if "baselines" in told else name] = told
    found |= told.get("baselines", {})
    if "checkpoints" in told or "checkpoint" in told:
        found |= told.get("checkpoints") or {told["checkpoint"]: told}
    return found


def _size(told: Mapping[str, Any]) -> str:
    responses = told["responses"]
    each = f"{told['samples']} to {told['most_samples']}" if "most_samples" in told else str(told["samples"])
    plural = "" if told["n"] == 1 else "s"
    return f"{told['n']} problem{plural} x {each} response{'' if each == '1' else 's'}" + (
        f" = {responses:,}" if each != "1" else ""
    )


def _accuracy(label: str, values: Mapping[str, Any]) -> list[str]:
    """The accuracy; of compared likelihoods also by likelihood over length."""
    if values["responses"] == values["n"]:
        value = f"{values['correct']:,} of {values['n']:,} = {values['value']:.1%}"
    elif "most_samples" in values:
        each = f"{values['samples']} to {values['most_samples']} responses"
        value = f"mean of {each} {values['value']:.1%} of {values['n']:,} problems"
    else:
        value = f"avg@{values['samples']} {values['value']:.1%} of {values['n']:,} problems"
    lines = [f"{label}: {value}, {_interval(values)}"]
    if "acc_norm" in values:
        lines.append(f"  acc_norm: {values['acc_norm']['value']:.1%}, {_interval(values['acc_norm'])}")
    return lines


def _interval(values: Mapping[str, Any]) -> str:
    return f"95 % interval {values['ci_low']:.1%} to {values['ci_high']:.1%}"


def _differences(told: Mapping[str, Any]) -> list[str]:
    """One paired difference a checkpoint, and the trained model against each baseline."""
    lines: list[str] = []
    checkpoints = told.get("checkpoints") or ({told["checkpoint"]: told} if "checkpoint" in told else {})
    for name, part in checkpoints.items():
        if "paired" in part:
            lines += difference(f"{name} - base" if len(checkpoints) > 1 else "paired difference", part["paired"])
        if "not_paired" in part:
            lines.append(f"  {part['not_paired']}")
    for name, part in told.get("baselines", {}).items():
        if "over_base" in part:
            lines += difference(f"{name} - base", part["over_base"])
        if "trained_over" in part:
            lines += difference(f"{told['checkpoint']} - {name}", part["trained_over"])
        if "not_paired" in part:
            lines.append(f"  {part['not_paired']}")
    return lines


def difference(label: str, pair: Mapping[str, Any]) -> list[str]:
    """A paired difference in points, what may be claimed of it, and the smallest that would be found."""
    adjusted = f", {_p(pair['p_holm'])} by Holm" if pair["claims"] > 1 else ""
    flips = f"{pair['gained']} gained, {pair['lost']} lost"
    return [
        f"  {label} {100 * pair['estimate']:+.1f} points, 95 % interval {100 * pair['ci_low']:+.1f} to "
        f"{100 * pair['ci_high']:+.1f}",
        f"    {said(pair)}; {flips}, p = {_p(pair['p_value'])}{adjusted}; detectable: {100 * pair['detectable']:.1f}",
    ]


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}"


def _shares(shown: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Strict, lenient, found, cut, repeated, length: one line an evaluation under one head."""
    graded = [key for key in GRADES if any(key in values for values in shown.values())]
    room = WIDTH - 2 - 8 - 9 * len((*graded, *RATES))
    lines = [f"  {'':<{room}}" + "".join(f"{title:>9}" for title in (*graded, *RATES)) + f"{'tokens':>8}"]
    for label, values in shown.items():
        cells = [_percent(values[key]["value"] if key in values else None) for key in graded]
        cells += [_percent(values.get(key)) for key in RATES]
        length = values.get("mean_tokens")
        name = label if len(label) <= room else f"{label[: room - 1]}…"
        tokens = "-" if length is None else f"{length:,.0f}"
        lines.append(f"  {name:<{room}}" + "".join(f"{cell:>9}" for cell in cells) + f"{tokens:>8}")
    return lines


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _curves(values: Mapping[str, Any], ks: Sequence[int], label: str) -> list[str]:
    """pass@k and maj@k: those asked for, else a ladder where there is more than one response."""
    lines = []
    for title, key in (("pass", "pass_at_k"), ("maj", "maj_at_k")):
        curve = values.get(key) or {}
        wanted = [str(k) for k in ks] if ks else _ladder(curve)
        cells = [
            f"@{k} {curve[k]['estimate']:.1%} ({curve[k]['ci_low']:.1%}-{curve[k]['ci_high']:.1%})"
            for k in wanted
            if k in curve
        ]
        lines += _wrapped(f"  {label}{title}", cells) if cells else []
    return lines


def _ladder(curve: Mapping[str, Any]) -> list[str]:
    """1, 2, 4, ... and the last; nothing of a single response."""
    largest = max(map(int, curve), default=0)
    if largest < 2:
        return []
    return [str(k) for k in sorted(map(int, curve)) if k & (k - 1) == 0 or k == largest]


def _wrapped(head: str, cells: Iterable[str]) -> list[str]:
    """Cells in lines of at most 80 columns, the later ones indented."""
    lines = [head]
    for cell in cells:
        if len(lines[-1]) + len(cell) + 2 > WIDTH:
            lines.append("   ")
        lines[-1] += f" {cell}"
    return lines


def _parts(title: str, parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Categories or levels, where there is more than one."""
    if len(parts) < 2:
        return []
    lines = [f"  {title}"]
    for name, part in list(parts.items())[:PARTS]:
        label = (name or "(none)")[:_NAME]
        lines.append(
            f"    {label:<{_NAME}} {part['n']:>5} problems {part['value']:>7.1%}  "
            f"{part['ci_low']:>6.1%} to {part['ci_high']:.1%}"
        )
    if len(parts) > PARTS:
        lines.append(f"    and {len(parts) - PARTS} more (--json shows all)")
    return lines


def _limits(values: Mapping[str, Any], base: Mapping[str, Any], *, paired: bool) -> list[str]:
    """What these numbers can tell: room above chance, the size of one problem, the detectable difference."""
    lines = []
    if base["room"] is False:
        lines.append(f"  no room to measure: the interval holds what guessing reaches ({base['floor']:.1%})")
    lines.append(f"  one problem is {100 * values['one_problem']:.1f} points")
    if not paired:
        size = f"{100 * values['detectable_unpaired']:.1f}"
        lines.append(f"  detectable against a model that agrees with this one by chance alone: {size}")
    if values.get("missing"):
        wrong = f"; {values['value_missing_wrong']:.1%} with them as wrong" if "value_missing_wrong" in values else ""
        lines.append(f"  {values['missing']} problems have no response and are not counted{wrong}")
    refused = values.get("unmatchable", {})
    if lost := refused.get("refused", 0) + refused.get("empty", 0):
        lines.append(f"  {lost} references can be matched by no response")
    return lines


def _macro(name: str, mean: Mapping[str, Any]) -> str:
    return f"{name} of {mean['tasks']} tasks, equal weight: {mean['value']:.1%}, {_interval(mean)}"
