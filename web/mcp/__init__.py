"""The MCP server: feeds, history and captions for assistants that run on the user's machine.

It is a client of the HTTP API, so it sees what its token allows, and nothing else. `tools` is not
exported here: it needs the package `mcp`.
"""

from web.mcp.command import CommandError, add_parser, run

__all__ = ["CommandError", "add_parser", "run"]
