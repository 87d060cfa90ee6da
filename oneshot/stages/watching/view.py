"""How `oneshot watch` draws a run in a terminal. Whatever a model or a file wrote is shown, never obeyed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from oneshot.measure.findings import number
from oneshot.measure.heartbeat import step_seconds
from oneshot.report.text import visible
from oneshot.stages.display import duration, spark
from oneshot.stages.watching.pair import Pair, Sample
from oneshot.stages.watching.readings import Reading
from oneshot.stages.watching.state import Snapshot

BESIDE, LEAST = 66, 10
"""Columns that a row takes beside its curve, and those of the shortest curve; with fewer there is none."""
MOST_TASKS, MOST_FINDINGS, MOST_NOTES = 4, 4, 4
TAIL = 320
"""Characters of a response: its end, where the answer is."""
ROWS: Sequence[tuple[str, str, str, bool]] = (
    ("training right", "train/accuracy", "share", True),
    ("entropy", "entropy", "nats a token", False),
    ("length", "completions/mean_length", "tokens", False),
    ("cut", "completions/clipped_ratio", "share", True),
    ("answer found", "found", "share", True),
    ("signal", "signal", "share", True),
    ("KL", "kl", "nats a token", False),
    ("gradient", "grad_norm", "norm", False),
)
"""(words, metric, unit, whether it is a share). The loss is not among them: it says nothing about how a run goes."""
COLOURS = {"running": "green", "done": "green", "silent": "yellow", "stopped": "yellow", "gone": "red", "failed": "red"}


def curve(values: Sequence[float | None], *, share: bool, width: int) -> str:
    """Values as a row of blocks: shares from 0 to 1, anything else from 0 (or its least) to its greatest.

    More values than `width` are averaged in equal parts, so that the row is always the whole run. A dot stands where
    nothing was recorded.
    """
    parts = [values[i * len(values) // width : (i + 1) * len(values) // width] for i in range(width)]
    shown = list(values) if len(values) <= width else [_mean(part) for part in parts]
    there = [value for value in shown if value is not None]
    low, high = (0.0, 1.0) if share else (min([0.0, *there]), max([0.0, *there]))
    scale = high - low or 1.0
    return "".join("·" if v is None else spark([min(1.0, max(0.0, (v - low) / scale))]) for v in shown)


def _mean(part: Sequence[float | None]) -> float | None:
    there = [value for value in part if value is not None]
    return math.fsum(there) / len(there) if there else None


def view(now: Snapshot, width: int) -> RenderableType:
    """The whole picture of a run, for a terminal of so many columns."""
    parts: list[RenderableType] = [_head(now, width)]
    if now.seen.label:
        parts.append(Text(visible(now.seen.label).upper(), style="bold yellow"))
    if now.seen.steps:
        bar = Table.grid(expand=True)  # a bare bar ends without a line break and swallows the next row
        bar.add_row(ProgressBar(total=now.seen.steps, completed=now.seen.done))
        parts.append(bar)
    parts.append(_numbers(now, min(60, width - BESIDE) if width >= BESIDE + LEAST else 0))
    if note := saturation_note(now):
        parts.append(Text(note, style="cyan"))
    if now.pair is not None:
        parts += _pair(now.pair)
    parts += [Text(f"! {visible(text)}", style="yellow") for text in now.findings[-MOST_FINDINGS:]]
    parts += [Text(visible(note), style="red") for note in now.notes[:MOST_NOTES]]
    if len(now.notes) > MOST_NOTES:
        parts.append(Text(f"and {len(now.notes) - MOST_NOTES} more like these", style="red"))
    return Panel(Group(*parts), title=Text(visible(now.run.path.name)), title_align="left")


def _head(now: Snapshot, width: int) -> RenderableType:
    seen, each, left = now.seen, step_seconds(now.seen.metrics), now.left
    about = [str(seen.setting("model.name") or ""), str(seen.setting("algorithm.name") or "")]
    about.append("1 example" if seen.examples == 1 else f"{seen.examples} examples" if seen.examples else "")
    step = f"step {seen.done}" + (f" of {seen.steps}" if seen.steps else "")
    pace = [f"{each:.1f} s a step"] if each else []
    pace += [f"left {duration(left)}"] if left is not None and not now.after_training else []
    what = Text(visible(" · ".join(filter(None, about))), style="dim", overflow="ellipsis", no_wrap=True)
    where, state = Text(" · ".join([step, *pace]), style="bold"), COLOURS.get(now.heart.state, "yellow")
    lines = [Text(line, style=state) for line in (state_line(now), now.after_training) if line]
    if width < BESIDE:
        return Group(where, what, *lines)
    head = Table.grid(expand=True, padding=(0, 2))
    head.add_column(ratio=1)
    head.add_column(justify="right")
    head.add_row(where, what)
    return Group(head, *lines)


def state_line(now: Snapshot) -> str:
    """Whether the run goes on, in a sentence."""
    return visible(now.heart.sentence())


def _numbers(now: Snapshot, width: int) -> Table:
    """One row a quantity: its last value and its curve, `width` blocks wide (0: none); held-out with its interval."""
    table = Table.grid(padding=(0, 2))
    for most in (24, 34, None) if width else (24, None):  # without room a number is folded, never cut
        table.add_column(no_wrap=bool(width) or most == 24, max_width=most, overflow="ellipsis" if width else "fold")
    for words, key, unit, share in ROWS:
        values = [number(row.get(key)) for row in now.seen.metrics]
        there = [value for value in values if value is not None]
        if there:
            last = values[-1]
            told = "not finite" if last is None else f"{last:.0%}" if share else f"{_short(last)} {unit}"
            table.add_row(words, told, *_curve(values, share=share, width=width))
        if key == "train/accuracy":
            for task, readings in list(now.readings.items())[:MOST_TASKS]:
                table.add_row(*_held_out(task, readings, width))
    if len(now.readings) > MOST_TASKS:
        table.add_row("", f"and {len(now.readings) - MOST_TASKS} more evaluated tasks")
    return table


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2g}"


def _curve(values: Sequence[float | None], *, share: bool, width: int) -> list[str]:
    return [curve(values, share=share, width=width)] if width else []


def _held_out(task: str, readings: Sequence[Reading], width: int) -> list[str | Text]:
    last = readings[-1]
    told = f"{last.value:.1%} ({100 * last.low:.0f} to {100 * last.high:.0f}), n {last.n}, step {last.step}"
    line = _curve([reading.value for reading in readings], share=True, width=width)
    return [Text(f"held-out {visible(task)}"), told, *line]


def saturation_note(now: Snapshot) -> str:
    """What the step of saturation means, once it is there; empty before."""
    step = now.seen.saturated
    if step is None:
        return ""
    return (
        f"solved since step {step}: nearly all rewards are equal from there on, as they should be. Held-out accuracy "
        "may still rise; entropy and KL still act."
    )


def _pair(pair: Pair) -> list[RenderableType]:
    why = "first and last of a group of equal rewards" if pair.equal else "best and worst of one group"
    head = f"{why}: step {pair.step}, group {pair.group}, reference {visible(pair.answer)[:40]}"
    return [Text(head.replace("\n", " "), style="dim"), _sample(pair.best), _sample(pair.worst)]


def _sample(sample: Sample) -> Text:
    verdict = {True: "right", False: "wrong", None: "ungraded"}[sample.right]
    colour = {True: "green", False: "red", None: "yellow"}[sample.right]
    reward = "" if sample.reward is None else f"{sample.reward:g} "
    end = f"… {sample.text[-TAIL:]}" if len(sample.text) > TAIL else sample.text
    text = Text().append(f"{reward}{verdict}  ", style=f"bold {colour}")
    text.append(visible(" ".join(end.split())))
    if sample.cut:
        text.append(f"  [cut at {sample.tokens} tokens]", style="yellow")
    return text
