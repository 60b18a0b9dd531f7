"""Who or what a line of the log is about: carried by tasks from where they were begun."""

from collections.abc import Mapping
from contextvars import ContextVar

LOG_CONTEXT: ContextVar[Mapping[str, str]] = ContextVar("log context")
"""Names such as `request`, `session` or `feed`, each with its id."""


def log_as(**ids: str) -> None:
    """Add ids to all that this task, and those that it begins from now on, will log."""
    LOG_CONTEXT.set({**LOG_CONTEXT.get({}), **ids})
