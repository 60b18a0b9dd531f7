"""Requests that expect something first (RFC 9110, section 10.1.1).

aiohttp answers before any middleware, and repeats what was expected: it fails at what is no text.
"""

import aiohttp.web_urldispatcher
from aiohttp import HttpVersion11, web

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def _meet(request: web.Request) -> None:
    if request.version != HttpVersion11:
        return
    if request.headers.get("Expect", "").lower() != "100-continue":
        raise web.HTTPExpectationFailed(text="nothing but 100-continue can be expected")
    await request.writer.write(_CONTINUE)
    # As aiohttp has it: the answer itself has not begun.
    request.writer.output_size = 0


def meet_expectations() -> None:
    """Let every route that is made from now on answer what a request expects."""
    aiohttp.web_urldispatcher._default_expect_handler = _meet
