"""How responses look in a terminal or a pipe. A model wrote them: they are shown, never obeyed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from oneshot.report.text import visible
from oneshot.stages.watching.rollouts_read import Response

SHORT = 400
"""Characters of a response without `--full`: half from its beginning, half from its end, where the answer is."""
SHORT_PROMPT = 300
BESIDE = 100
"""From so many columns on two responses stand side by side."""


def shortened(text: str, most: int) -> str:
    """At most about `most` characters, with the number of those left out where they were."""
    left = len(text) - most
    if left <= 40:  # saying so would take as much room
        return text
    return f"{text[: most // 2]} […{left:,} characters…] {text[-(most // 2) :]}"


def _one_line(text: str) -> str:
    """What a file says, to be shown and not obeyed."""
    return visible(text).replace("\n", " ")


def verdict(response: Response) -> Text:
    """`right`, `wrong` or `ungraded`, in its colour and in words."""
    word = {True: "right", False: "wrong", None: "ungraded"}[response.correct]
    return Text().append(word, style={True: "bold green", False: "bold red", None: "bold yellow"}[response.correct])


def facts(response: Response) -> Text:
    """The verdict and what it rests on, on one line."""
    line = verdict(response)
    line.append(f"  {_one_line(response.place)}  {response.tokens:,} tokens", style="dim")
    if response.reward is not None and response.reward != float(response.correct is True):
        line.append(f"  paid {response.reward:g}", style="magenta")
    if response.cut:
        line.append("  CUT at the limit", style="yellow")
    if response.extracted is not None:
        line.append("  answer ").append(_one_line(response.extracted)[:80], style="bold")
    else:
        line.append("  no answer found", style="yellow")
    if response.status not in ("", "ok", "no_answer"):
        line.append(f"  ({_one_line(response.status)})", style="yellow")
    return line


def body(response: Response, *, full: bool) -> Text:
    """The response with its extracted answer marked where it stands last."""
    text = visible(response.text if full else shortened(response.text, SHORT))
    shown = Text(text if full else " ".join(text.split()))
    answer = visible(response.extracted or "")
    at = shown.plain.rfind(answer) if answer else -1
    if at >= 0:
        style = "bold black on green" if response.correct else "bold black on yellow"
        shown.stylize(style, at, at + len(answer))
    if response.cut:
        shown.append(" ✂", style="yellow")
    return shown


def question(response: Response, *, full: bool) -> Iterator[RenderableType]:
    """The problem and its reference; said once for all responses to it that follow each other."""
    reference = _one_line(response.answer)[:80]
    yield Rule(Text(f"{_one_line(response.id)[:60]}   reference {reference}"), align="left", style="dim")
    prompt = visible(response.prompt if full else " ".join(shortened(response.prompt, SHORT_PROMPT).split()))
    if prompt:
        yield Text(prompt, style="italic")


def listing(responses: list[Response], *, full: bool) -> Iterator[RenderableType]:
    """Responses one under another, each problem once."""
    before: tuple[str, str] | None = None
    where = ""
    for response in responses:
        if response.where != where:
            where = response.where
            yield Text(_one_line(where), style="bold underline")
        if (response.id, response.prompt) != before:
            before = (response.id, response.prompt)
            yield from question(response, full=full)
        yield facts(response)
        yield Padding(body(response, full=full), (0, 0, 0, 2), expand=False)


def beside(first: Response, second: Response, *, full: bool, width: int) -> Iterator[RenderableType]:
    """Two checkpoints on one problem, side by side where there is room."""
    yield from question(first, full=full)
    cells = [_cell(response, full=full) for response in (first, second)]
    if width < BESIDE:
        yield from cells
        return
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(ratio=1)
    table.add_column(ratio=1)
    table.add_row(*cells)
    yield table


def _cell(response: Response, *, full: bool) -> Panel:
    inside = Table.grid()
    inside.add_column(overflow="fold")
    inside.add_row(facts(response))
    inside.add_row(body(response, full=full))
    title = Text(_one_line(response.where.rpartition(", ")[2]))
    return Panel(inside, title=title, title_align="left", border_style="green" if response.correct else "red")
