"""Why there is no answer to what a client asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from inference.engine import EngineUnavailable
from inference.explained import Busy


class Refused(Exception):
    """There is no answer: the message is for people, the code is the protocol's."""

    def __init__(self, code: str, message: str) -> None:
        """Refuse with one of the codes of `error`."""
        super().__init__(message)
        self.code = code


@asynccontextmanager
async def refusing(code: str, most_s: float) -> AsyncIterator[None]:
    """Do what the engine may refuse, for so long and no longer.

    Args:
        code: Of what cannot be done, and of what takes too long.
        most_s: How long it may take.

    Raises:
        Refused: Whatever the reason.
    """
    try:
        async with asyncio.timeout(most_s):
            yield
    except TimeoutError as problem:
        raise Refused(code, f"it took longer than {most_s:g} s") from problem
    except EngineUnavailable as problem:
        raise Refused("captioner-paused", str(problem)) from problem
    except Busy as problem:
        raise Refused("busy", f"{problem}: ask again in a few seconds") from problem
    except ValueError as problem:
        raise Refused(code, str(problem)) from problem
