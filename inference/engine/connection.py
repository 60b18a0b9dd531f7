"""What is said between the engine and one of its processes, until that ends.

The messages between the engine and its process: JSON, then bytes, both behind their lengths.

The engine sends `follow` (captions), `explain`, `check` and `analyse` (jobs, by a number) and
`cancel`; the process answers `answers`, in turn, and `progress`, `explained`, `checked`, `analysed`
or `failed` of a job, whenever it comes to that.
"""

import asyncio
import itertools
import json
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from inference.progress import Step

Progress = Callable[[Step], None]
"""Told how far a job is."""

Answered = tuple[dict[str, Any], bytes]
"""A message and its payload."""

_LENGTHS = struct.Struct(">II")


class ConversationEnded(RuntimeError):
    """The process will answer no more; the message says why."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    result: asyncio.Future[Answered]
    progress: Progress | None


class Conversation:
    """Requests to a process and its answers: one batch of captions at a time, and jobs beside."""

    def __init__(self, process: asyncio.subprocess.Process, patience_s: float) -> None:
        """Talk to a process that said that it is ready; `listen` takes its answers.

        Args:
            process: Its input and output are pipes.
            patience_s: A process that owes an answer and says nothing for longer hangs.
        """
        assert process.stdin and process.stdout
        self._requests, self._answers = process.stdin, process.stdout
        self._patience_s = patience_s
        self._silence: asyncio.Timeout | None = None
        self._captions: asyncio.Future[list[dict[str, Any]]] | None = None
        self._jobs: dict[int, _Job] = {}
        self._numbers = 0
        self._why_over = ""

    @property
    def jobs(self) -> int:
        """Jobs that the process has, those among them that it has yet to give up."""
        return len(self._jobs)

    async def listen(self) -> None:
        """Take what the process answers, until it ends.

        Raises:
            TimeoutError: If it hangs.
        """
        why = "the engine was stopped"
        try:
            while True:
                await self._hear()
        except TimeoutError:
            why = "the captioner's process hung and was ended"
            raise
        except (OSError, EOFError):
            why = "the captioner's process ended"
        finally:
            self._end(why)

    async def follow(self, request: dict[str, Any], pictures: bytes) -> list[dict[str, Any]]:
        """Have pictures captioned; one batch at a time.

        Raises:
            ConversationEnded: If the process ended or hung.
        """
        captions: asyncio.Future[list[dict[str, Any]]] = asyncio.get_running_loop().create_future()
        self._say({"type": "follow", **request}, pictures)
        self._captions = captions
        return await captions

    async def do(
        self, request: dict[str, Any], pictures: bytes, progress: Progress | None
    ) -> Answered:
        """Have a job done; cancelling this gives it up.

        Returns:
            The process's last word on the job: what was found, or that it failed; and the bytes
            that came with it.

        Raises:
            ConversationEnded: If the process ended or hung.
        """
        self._numbers += 1
        number = self._numbers
        self._say({**request, "job": number}, pictures)
        job = self._jobs[number] = _Job(asyncio.get_running_loop().create_future(), progress)
        try:
            return await job.result
        except asyncio.CancelledError:
            if number in self._jobs and not self._why_over:
                self._say({"type": "cancel", "job": number})
            raise

    def _say(self, message: dict[str, Any], payload: bytes = b"") -> None:
        """Hand a message to the pipe; what waits there is bounded as batches and jobs are."""
        if self._why_over:
            raise ConversationEnded(self._why_over)
        # Not joined: the pictures of a stream are 12 MB.
        self._requests.write(head(message, len(payload)))
        self._requests.write(payload)
        if self._silence and self._silence.when() is None:
            self._silence.reschedule(self._latest())

    async def _hear(self) -> None:
        owes = self._captions is not None or self._jobs
        async with asyncio.timeout_at(self._latest() if owes else None) as self._silence:
            message, payload = await read(self._answers)
        if message["type"] == "answers":
            answered, self._captions = self._captions, None
            if answered and not answered.done():
                answered.set_result(message["answers"])
        elif message["type"] == "progress":
            job = self._jobs[message["job"]]
            if job.progress and not job.result.done():
                job.progress(Step(message["done"], message["doing"]))
        else:
            result = self._jobs.pop(message["job"]).result
            if not result.done():
                result.set_result((message, payload))

    def _latest(self) -> float:
        """Until when the process may be silent, if it owes anything."""
        return asyncio.get_running_loop().time() + self._patience_s

    def _end(self, why: str) -> None:
        self._why_over = why
        owed = [self._captions, *(job.result for job in self._jobs.values())]
        for result in owed:
            if result and not result.done():
                result.set_exception(ConversationEnded(why))


def pack(message: dict[str, Any], payload: bytes = b"") -> bytes:
    """Write one message."""
    return head(message, len(payload)) + payload


def head(message: dict[str, Any], payload_bytes: int) -> bytes:
    """Write one message but for its payload, which is to follow."""
    text = json.dumps(message).encode()
    return _LENGTHS.pack(len(text), payload_bytes) + text


def parted(payload: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Take apart what several things were joined to, given their sizes."""
    ends = itertools.accumulate(sizes, initial=0)
    return [payload[start:end] for start, end in itertools.pairwise(ends)]


async def read(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Raises:
        asyncio.IncompleteReadError: At the end of the stream.
    """
    text, payload = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    return json.loads(await reader.readexactly(text)), await reader.readexactly(payload)


def read_blocking(file: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    No byte more than the message is asked of the file: of one that is not buffered, `select` tells
    whether another message has begun to come.

    Raises:
        EOFError: At the end of the file.
    """
    text, payload = _LENGTHS.unpack(_exactly(file, _LENGTHS.size))
    return json.loads(_exactly(file, text)), _exactly(file, payload)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = file.read(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
