"""Errors as JSON: `{"error": {"code", "message"}}` with a fitting status."""

import logging
from collections.abc import Mapping

from aiohttp import ClientConnectionResetError, web
from aiohttp.typedefs import Handler

logger = logging.getLogger(__name__)

_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


def error(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Make an error's response."""
    body = {"error": {"code": code, "message": message}}
    return web.json_response(body, status=status, headers=headers)


@web.middleware
async def error_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure into a JSON error; what was not foreseen is logged, not told."""
    try:
        return await handler(request)
    except web.HTTPException as problem:
        if problem.status < 400:
            raise
        allow = {"Allow": problem.headers["Allow"]} if "Allow" in problem.headers else None
        code = _CODES.get(problem.status, "bad-request")
        return error(problem.status, code, problem.text or problem.reason, allow)
    except web.RequestPayloadError:
        return error(400, "bad-body", "the body is not encoded as its headers say")
    except ClientConnectionResetError:
        # Whoever asked has gone: aiohttp ends it.
        raise
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return error(500, "internal", "something went wrong on the server; its log says what")
