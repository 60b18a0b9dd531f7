"""Child processes that exchange JSON messages with their parent over standard input and output.

The parent starts a module by `Child.start`; the module calls `run_until_stopped` and `send`.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, BinaryIO

Message = dict[str, Any]

_EXIT_TIMEOUT_S = 5.0
"""How long a child may take to exit after its input is closed."""
_MAX_LINE_BYTES = 1 << 26
_MAX_ERROR_LINES = 12
"""Lines of a failed child's error output that its exception quotes."""


class ChildError(RuntimeError):
    """A child process exited before it sent the expected message."""


class Child:
    """A child process, as its parent sees it: one JSON object per line in both directions.

    The child exits when its input is closed, and therefore also when the parent is killed.
    """

    def __init__(self, module: str, process: asyncio.subprocess.Process, errors: BinaryIO) -> None:
        """Wrap a process that runs a module and writes its errors to a file."""
        self._module, self._process, self._errors = module, process, errors
        self.pid = process.pid

    @classmethod
    @contextlib.asynccontextmanager
    async def start(
        cls, module: str, *arguments: str, prefix: Sequence[str] = ()
    ) -> AsyncIterator["Child"]:
        """Run a module until the context ends.

        Args:
            module: The module to run.
            arguments: Its arguments.
            prefix: A command that runs the command that follows it, such as `unshare --net`.
        """
        # Not the terminal: TensorFlow logs a lot on startup.
        with tempfile.TemporaryFile() as errors:
            process = await asyncio.create_subprocess_exec(
                *prefix,
                sys.executable,
                "-m",
                module,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=_MAX_LINE_BYTES,
                # Ctrl-C in the terminal must reach only the parent.
                start_new_session=True,
            )
            child = cls(module, process, errors)
            try:
                yield child
            finally:
                await child._stop()

    async def receive(self) -> Message:
        """Wait for the next message of the child.

        Raises:
            ChildError: If the child exits instead.
        """
        assert self._process.stdout
        line = await self._process.stdout.readline()
        if not line:
            status = await self._process.wait()
            self._errors.seek(0)
            errors = self._errors.read().decode(errors="replace").splitlines()[-_MAX_ERROR_LINES:]
            raise ChildError("\n".join([f"{self._module} exited with status {status}:", *errors]))
        message: Message = json.loads(line)
        return message

    async def request(self, **message: Any) -> Message:
        """Send a message to the child and wait for its response.

        Raises:
            ChildError: If the child exits instead.
        """
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.receive()

    async def _stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EXIT_TIMEOUT_S):
                    await self._process.wait()
        finally:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                await self._process.wait()


def send(**message: Any) -> None:
    """Send a message from a child to its parent."""
    print(json.dumps(message), flush=True)


async def run_until_stopped(
    work: Coroutine[Any, Any, None], on_message: Callable[[Message], None] | None = None
) -> None:
    """Run a child's work until it is done or the parent closes the child's input.

    Args:
        work: Cancelled when the parent closes the input.
        on_message: Called with each message of the parent.
    """
    tasks = [asyncio.create_task(work), asyncio.create_task(_read_messages(on_message))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for task in reversed(tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _read_messages(on_message: Callable[[Message], None] | None) -> None:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        while line := await reader.readline():
            if on_message:
                on_message(json.loads(line))
    finally:
        transport.close()
