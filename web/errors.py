"""Error responses: `{"error": {"code", "message"}}` with the matching HTTP status."""

import errno
import logging
from collections.abc import Mapping

from aiohttp import web
from aiohttp.typedefs import Handler

CLIENT_CLOSED = 499
"""Status logged when the client disconnects before it gets a response, as nginx does."""

logger = logging.getLogger(__name__)

_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def error_response(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Build an error response; `code` is for programs, `message` for people."""
    body = {"error": {"code": code, "message": message}}
    return web.json_response(body, status=status, headers=headers)


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn exceptions into JSON errors; unexpected ones are logged and answered with 500."""
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
