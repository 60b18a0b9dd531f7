"""A process of the benchmark, as the one that starts it sees it."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Any, BinaryIO

_ENDING_S = 5.0
"""What a process is given to end by itself once its input has ended."""
_LONGEST_LINE = 1 << 26
_TOLD_LINES = 12
"""Of what a process that failed had to say."""


class ChildError(RuntimeError):
    """A process ended before it had said what it was asked for."""


class Child:
    """Speaks JSON, an object a line, on its input and output, and ends when its input does.

    A child therefore ends in any case: also when the process that started it is killed.
    """

    def __init__(self, module: str, process: asyncio.subprocess.Process, errors: BinaryIO) -> None:
        """Take over a process that runs a module and writes its errors to a file."""
        self._module, self._process, self._errors = module, process, errors
        self.pid = process.pid

    @classmethod
    @contextlib.asynccontextmanager
    async def started(
        cls, module: str, *arguments: str, within: Sequence[str] = ()
    ) -> AsyncIterator["Child"]:
        """Run a module for as long as the context lasts.

        Args:
            module: To run.
            arguments: For it.
            within: A command that runs the one given to it in its place.
        """
        # Held back, since TensorFlow tells much of itself that nobody asked for.
        with tempfile.TemporaryFile() as errors:
            process = await asyncio.create_subprocess_exec(
                *within,
                sys.executable,
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_LONGEST_LINE,
                # Ctrl-C in the terminal is for the process that started this one.
                start_new_session=True,
            )
            child = cls(module, process, errors)
            try:
                yield child
            finally:
                await child._end()

    async def hear(self) -> dict[str, Any]:
        """Wait for what the process says next.

        Raises:
            ChildError: If it ends instead.
        """
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            status = await self._process.wait()
            self._errors.seek(0)
            told = self._errors.read().decode(errors="replace").splitlines()[-_TOLD_LINES:]
            raise ChildError("\n".join([f"{self._module} ended with status {status}:", *told]))
        message: dict[str, Any] = json.loads(line)
        return message

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Ask, and wait for the answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.hear()

    async def _end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ENDING_S):
                    await self._process.wait()
        finally:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                await self._process.wait()
