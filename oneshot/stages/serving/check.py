"""The health check at the start: the back end answers the golden prompt, and its answer is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneshot.errors import DataError
from oneshot.report.text import visible

if TYPE_CHECKING:
    import httpx2

    from oneshot.stages.serving.backend import Backend
    from oneshot.stages.serving.model import Golden


async def check(back: Backend, client: httpx2.AsyncClient, golden: Golden) -> tuple[bool, str]:
    """(whether rounding explains every difference, in words) of the back end's answer to the golden prompt.

    Raises:
        DataError: E304 it does not answer as an OpenAI server, or read another number of prompt tokens.
    """
    import httpx2

    asked = {"model": back.model, "messages": list(golden.messages), "temperature": 0, "max_tokens": golden.limit}
    try:
        answer = await client.post(f"{back.url}/v1/chat/completions", json=asked, headers=dict(back.headers))
        told = answer.json()
        text, usage = str(told["choices"][0]["message"].get("content") or ""), told["usage"]
        read, made = int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (httpx2.HTTPError, ValueError, LookupError, TypeError, AttributeError) as error:
        said = visible(answer.text[:300]) if "answer" in locals() else str(error)
        raise DataError(f"the back end did not answer the question {golden.id!r}: {said}", code="E304") from error
    if read != len(golden.prompt):
        raise DataError(
            f"the back end reads the question {golden.id!r} as {read} tokens; in training it had {len(golden.prompt)}.",
            code="E304",
        )
    same, words = golden.compared(text, made)
    return same, f"prompt of {read} tokens and stop ids are those of training; {words}"
