"""Reports of failures to the assistant. Needs the package `mcp`."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from web.mcp.client import ServerError
from web.mcp.folders import FileRefused

P = ParamSpec("P")
Result = TypeVar("Result")


def reporting_errors(tool: Callable[P, Awaitable[Result]]) -> Callable[P, Awaitable[Result]]:
    """Report known failures of a tool to the assistant."""

    @functools.wraps(tool)
    async def reporting(*arguments: P.args, **options: P.kwargs) -> Result:
        try:
            return await tool(*arguments, **options)
        except (ServerError, FileRefused) as error:
            raise ToolError(str(error)) from error

    return reporting
