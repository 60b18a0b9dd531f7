"""Tests of `web.mcp`."""
