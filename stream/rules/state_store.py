"""Where the states of rules outlive the server: a small file, or the database of a cluster."""

import asyncio
import json
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from stream.settings import UnreadableFile, read_text_file

States = dict[str, Any]
"""The states of each rule, by its name, as `RuleTracker.to_json`."""

logger = logging.getLogger(__name__)


class StateStore(Protocol):
    """Keeps the states of all rules."""

    async def load(self) -> States:
        """Return the states that were stored last; none if there are none, or they are lost."""
        ...

    async def store(self, states: States) -> None:
        """Replace the stored states; a failure is logged."""
        ...


class StateFile:
    """Keeps states in a JSON file, which is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        """Use a file; its folder is created when it is needed."""
        self._path = path
        self._is_failing = False

    async def load(self) -> States:
        """Return the states in the file."""
        try:
            states = json.loads(await asyncio.to_thread(read_text_file, self._path))
        except UnreadableFile as problem:
            if self._path.exists():
                logger.warning("states of rules cannot be read from %s: %s", self._path, problem)
            return {}
        except (ValueError, RecursionError):
            logger.warning("%s contains no states of rules; they start anew", self._path)
            return {}
        return states if isinstance(states, dict) else {}

    async def store(self, states: States) -> None:
        """Replace the file; without rules none is created."""
        if not states and not self._path.exists():
            return
        try:
            await asyncio.to_thread(write_atomically, self._path, json.dumps(states))
        except OSError as problem:
            if not self._is_failing:
                reason = problem.strerror or str(problem)
                logger.error("states of rules cannot be written to %s: %s", self._path, reason)
            self._is_failing = True
        else:
            self._is_failing = False


def write_atomically(path: Path, text: str) -> None:
    """Replace a file, readable by its owner only; after a crash it has its old or its new content.

    If the path is a symbolic link, the file that it leads to is replaced, and the link stays.

    Raises:
        OSError: If it cannot be written; nothing is left behind then.
    """
    # Many keep their configuration elsewhere and link to it.
    path = Path(os.path.realpath(path))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
