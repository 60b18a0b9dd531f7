"""Error responses: `{"error": {"code", "message"}}` with the matching HTTP status.

The routes of the OpenAI API state them as that API does, whatever raised them.
"""

import errno
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler

CLIENT_CLOSED = 499
"""Status logged when the client disconnects before it gets a response, as nginx does."""

logger = logging.getLogger(__name__)

OPENAI_PATH = "/v1/"
"""What the paths of the OpenAI API begin with."""

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_OPENAI_CODES = {"no-token": "invalid_api_key", "too-many-requests": "rate_limit_exceeded"}
"""Codes that clients of the OpenAI API may compare; others keep their words."""


@dataclass(frozen=True, slots=True)
class Error:
    """What happened.

    Attributes:
        code: For programs.
        message: For people.
        param: The parameter of the request that is wrong; only for the OpenAI API.
    """

    code: str
    message: str
    param: str | None


ERROR = web.ResponseKey("error", Error)
"""What an error response states; other responses lack it."""


_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def error_response(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    param: str | None = None,
) -> web.Response:
    """Build an error response.

    Args:
        status: The HTTP status.
        code: What happened, for programs.
        message: What happened, for people.
        headers: Of the response.
        param: The parameter of the request that is wrong; only for the OpenAI API.
    """
    body = {"error": {"code": code, "message": message}}
    response = web.json_response(body, status=status, headers=headers)
    response[ERROR] = Error(code, message, param)
    return response


def accepts_html(request: web.Request) -> bool:
    """Whether a browser opens the URL as a page."""
    return request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions into JSON errors; unexpected ones are logged and answered with 500."""
    response = await _respond(request, handler)
    error = response.get(ERROR)
    if error and isinstance(response, web.Response) and request.path.startswith(OPENAI_PATH):
        response.text = json.dumps({"error": _openai_error(response.status, error)})
    return response


def _openai_error(status: int, error: Error) -> dict[str, str | None]:
    default = "server_error" if status >= 500 else "invalid_request_error"
    return {
        "message": error.message,
        "type": _OPENAI_TYPES.get(status, default),
        "param": error.param,
        "code": _OPENAI_CODES.get(error.code, error.code.replace("-", "_")),
    }


async def _respond(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        code = _CODES.get(error.status, "bad-request")
        return error_response(error.status, code, error.text or error.reason, allow)
    except web.RequestPayloadError:
        return error_response(400, "bad-body", "the body is not encoded as its headers declare")
    except ConnectionResetError:
        # While the client sent its body or got its response. Nobody gets this one.
        return web.Response(status=CLIENT_CLOSED)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            # A part of the path of an asset is longer than the file system allows.
            return error_response(404, "not-found", "Not Found")
        logger.exception("%s %s failed", request.method, request.path)
        return error_response(500, "internal", "internal server error; see the server's log")
