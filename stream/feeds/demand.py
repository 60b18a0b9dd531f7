"""Whether anybody wants pictures."""

import asyncio

GRACE_S = 10.0
"""How long after the last watcher has gone pictures are still wanted: a page that is loaded anew
finds them coming."""


class Demand:
    """Told who watches, tells whether to go on; on the event loop."""

    def __init__(self, *, always: bool, grace_s: float = GRACE_S) -> None:
        """Begin with nobody.

        Args:
            always: Whether pictures are wanted even when nobody watches.
            grace_s: How long one who has gone still counts, in seconds.
        """
        self._always, self._grace_s = always, grace_s
        self._wanted, self._unwanted = asyncio.Event(), asyncio.Event()
        self.tell(watched=False)

    def tell(self, *, watched: bool) -> None:
        """Say whether someone watches now."""
        if watched or self._always:
            self._wanted.set()
            self._unwanted.clear()
        else:
            self._wanted.clear()
            self._unwanted.set()

    @property
    def is_wanted(self) -> bool:
        """Whether pictures are wanted, the time of grace not counted."""
        return self._wanted.is_set()

    async def wanted(self) -> None:
        """Wait until someone watches."""
        await self._wanted.wait()

    async def unwanted(self) -> None:
        """Wait until nobody has watched for the time of grace."""
        while True:
            await self._unwanted.wait()
            try:
                await asyncio.wait_for(self._wanted.wait(), self._grace_s)
            except TimeoutError:
                return
