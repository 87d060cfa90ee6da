from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from oneshot.config.request import Request
from oneshot.config.schema import Config, SaveConfig
from oneshot.errors import UsageError
from oneshot.record import RunFolder
from oneshot.report import gather, page
from oneshot.stages import report as stage
from tests.unit.report.runs import CONFIG, HOSTILE, eval_row, make_run

VOID = {"meta", "input", "br", "img", "link", "base", "source", "embed"}
ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "a",
        "div",
        "nav",
        "ol",
        "ul",
        "li",
        "main",
        "header",
        "section",
    ),
    *("article", "h1", "h2", "h3", "h4", "p", "span", "dl", "dt", "dd", "small", "strong", "b", "i", "pre", "code"),
    *("details", "summary", "figure", "figcaption", "table", "caption", "thead", "tbody", "tr", "th", "td", "input"),
    *("label", "svg", "desc", "line", "text", "g", "polygon", "polyline", "circle", "rect", "math", "mrow", "mn"),
    *("mark", "mi", "mo", "mtext", "msup", "mstyle"),
}
"""Every element that the templates and figures use; anything else came out of a text."""


class Page(HTMLParser):
    """Elements, attributes, and the visible text of a page; checks that elements nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = re.sub("[ \n\t]+", " ", " ".join(self.words))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"href", "src", "srcset", "action", "data", "xlink:href", "poster", "background"}:
                self.links.append(value or "")
            if name.startswith("on") or name == "style":
                self.handlers.append(name)
            if name == "id":
                self.ids.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@pytest.fixture(scope="module")
def benign(tmp_path_factory: pytest.TempPathFactory) -> str:
    return page.build(make_run(tmp_path_factory.mktemp("benign")))


@pytest.mark.parametrize("text", ["", HOSTILE])
@pytest.mark.parametrize("with_summary", [True, False])
def test_the_page_is_one_closed_document(tmp_path: Path, text: str, with_summary: bool) -> None:
    html = page.build(make_run(tmp_path, text=text, with_summary=with_summary))
    seen = Page(html)
    assert seen.tags <= ALLOWED, seen.tags - ALLOWED
    assert seen.handlers == []
    assert {link[:5] for link in seen.links} == {"#answ", "data:"} | {link[:5] for link in seen.links if link[0] == "#"}
    assert len(seen.ids) == len(set(seen.ids))
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", html)
    assert len(html.encode()) < page.MOST_BYTES


def test_links_within_the_page_have_targets(benign: str) -> None:
    seen = Page(benign)
    assert {link[1:] for link in seen.links if link.startswith("#")} <= set(seen.ids)


def test_the_policy_forbids_everything_but_the_stylesheet(benign: str) -> None:
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', benign)
    (css,) = re.findall("<style>(.*?)</style>", benign, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    assert policy.replace("&#39;", "'") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert benign.index("Content-Security-Policy") < benign.index("<style>")
    assert not re.search("url\\(|@import|@font-face", css)


def test_what_a_reader_looks_for_is_there(benign: str) -> None:
    text = Page(benign).text
    for words in (
        "In this run the model learned this kind of problem",
        "Difference +35.0 points 95 %: +22.9 to +46.0",
        "Transfers to held-out problems +35.0 points (95 %: +22.9 to +46.0), n 120 problems",
        "Control arm’s difference not known",
        "--control shuffled",
        "Solved by the base model 18.8\u202f% of its samples (95 %: 9\u202f% to 35\u202f%, n 32)",
        "Wordings seen only in test",
        "Right, only a complete \\boxed{} counts",
        "cut at 64 tokens (training limit)",
        "finishing: an answer, not cut",
        "Shown: 6 of 76 gained, 6 of 45 lost, 6 of 94 wrong both times, 6 of 24 right both times.",
        "cut at the length limit",
        "peak memory 3.42 GiB",
        "one problem is 0.83 points",
        "oneshot demo --seed 0",
        "run seed 0",
        "One training run: every interval and badge",
    ):
        assert words in text, words
    assert "loss" not in re.sub("losses|lost", "", text.lower())


def test_the_numbers_can_be_downloaded(benign: str) -> None:
    (link,) = [link for link in Page(benign).links if link.startswith("data:application/json;base64,")]
    data = json.loads(base64.b64decode(link.partition(",")[2]))
    assert data["summary"]["paired"]["n"] == 120
    assert [row["step"] for row in data["metrics"]] == list(range(12))
    assert data["held_out"]["held-out, own kind"][0]["n"] == 16
    assert data["config"] == CONFIG


def test_without_summary_the_comparison_comes_from_the_evaluations(tmp_path: Path) -> None:
    with_one, without = make_run(tmp_path / "a"), make_run(tmp_path / "b", with_summary=False)
    said, computed = gather.gather(with_one).summary, gather.gather(without).summary
    for key in ("paired", "overall", "ladder", "categories", "transitions", "decomposition", "training_limit"):
        assert computed[key] == said[key], key
    assert (
        "On 120 held-out problems of the example’s own kind, accuracy went from 21.7" in Page(page.build(without)).text
    )


def test_without_kinds_the_headline_is_all_problems(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    for name, right in (("base", 2), ("checkpoint-3", 7)):
        run.write_eval("mine", name, {}, [eval_row(str(i), i < right, "") for i in range(10)])
    run.write_status(state="done")
    text = Page(page.build(run)).text
    assert "On 10 held-out problems, accuracy went from 20.0\u202f% to 70.0\u202f%: +50.0 points" in text
    assert "own kind, n" not in text and "All problems, held out, n 10" in text
    assert "– not tested Learned the example" in text


def test_an_empty_run_says_not_measured(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "x", {}, [])
    text = Page(page.build(run)).text
    assert "Nothing was measured in this run yet." in text
    assert text.count("not measured") >= 8
    assert text.count("– not tested") == 5


def test_damaged_files_are_noted_and_do_not_stop_the_page(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run.path / "evals" / "builtin-test" / "base" / "samples.jsonl.gz").write_bytes(b"no gzip")
    (run.path / "rollouts" / "step_000000.jsonl.gz").write_bytes(b"no gzip")
    with open(run.path / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 12, "rew')
    text = Page(page.build(run)).text
    assert "evaluation builtin-test of base:" in text
    assert "training responses of step 0: the file is damaged" in text
    assert "metrics.jsonl: 1 lines" not in text  # a torn last line is what a kill leaves


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    run = make_run(tmp_path, text="many words of a very long answer. " * 2000, steps=1)
    values = [{"train/accuracy": s % 33 / 32, "entropy": 1 / (s + 1), "kl": s * 1e-7} for s in range(4000)]
    lines = [json.dumps({"step": step, "attempt": 1, **value}) for step, value in enumerate(values)]
    (run.path / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    html = page.build(run)
    assert len(html.encode()) <= page.MOST_BYTES
    assert "more characters not shown" in html


def request(root: Path, reference: str, **flags: bool) -> Request:
    config = Config(save=SaveConfig(runs=str(root)))
    return Request(verb="report", positional=(reference,), config=config, **flags)


def test_the_verb_writes_the_page_and_prints_its_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path)
    assert stage.main(request(tmp_path, "latest")) == 0
    assert capsys.readouterr().out == f"{run.path / 'report.html'}\n"
    first = (run.path / "report.html").read_text(encoding="utf-8")
    assert stage.main(request(tmp_path, run.path.name, json=True)) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["path"]) == ("oneshot.report/1", str(run.path / "report.html"))
    assert told["summary"]["paired"]["n"] == 120
    assert (run.path / "report.html").read_text(encoding="utf-8") == first  # the same folder gives the same page
    with pytest.raises(UsageError) as caught:
        stage.main(request(tmp_path, "nothing"))
    assert caught.value.code == "E104"


def test_the_report_loads_no_torch() -> None:
    heavy = "{'torch', 'tyro', 'transformers'}"
    code = f"import sys, oneshot.report.page, oneshot.stages.report; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
