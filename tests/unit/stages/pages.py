"""A page that stands for the report in tests of what serves it."""

from __future__ import annotations

from oneshot.record import RunFolder

PAGE = """<meta http-equiv="Content-Security-Policy" content="default-src &#39;none&#39;; img-src data:"><p>text</p>"""


class Built:
    """Stands for the report; counts how often it was made."""

    def __init__(self) -> None:
        self.times = 0
        self.error: Exception | None = None

    def __call__(self, run: RunFolder) -> str:
        if self.error:
            raise self.error
        self.times += 1
        return f"{PAGE}{self.times}\ud800"
