"""Fair use of limited resources: quotas and turns, by client address and by role.

No viewer can take everything: an address gets a share, and a part is kept for admins.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

_KEPT_FOR_ADMINS = 1 / 8


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose use of a resource is counted."""

    network: str = ""
    """The client's address, or its IPv6 /64 network."""
    is_admin: bool = True
    """Whether the owner may use the part that is kept for admins, and more than a share."""
    share: float = field(default=1.0, compare=False)
    """The largest share of each resource that an address may use, 0..1; unless it is an admin's."""


SERVER = Owner()
"""The server itself, which may use as much as an admin."""


class QuotaExceeded(RuntimeError):
    """A resource is used up; the message is for the client."""

    retry_after_s = 10


class ShareExceeded(QuotaExceeded):
    """The address has used up its share; the message is for the client."""


class Quota:
    """Counts the uses of a limited resource by their owners."""

    def __init__(self, limit: int, name: str) -> None:
        """Start without uses.

        Args:
            limit: Uses at once. If it is 1 and a viewer has it, an admin gets another.
            name: What is used, in the plural, for messages.
        """
        self._limit, self._name = limit, name
        self._uses: Counter[Owner] = Counter()

    def __len__(self) -> int:
        return self._uses.total()

    def check(self, owner: Owner) -> None:
        """Check that there is room for one more use.

        Raises:
            ShareExceeded: If the owner's address has used up its share.
            QuotaExceeded: If there is no room.
        """
        total = len(self)
        of_admins = sum(count for each, count in self._uses.items() if each.is_admin)
        open_limit = max(1, self._limit - max(1, int(self._limit * _KEPT_FOR_ADMINS)))
        if owner.is_admin:
            is_full = of_admins >= self._limit or total >= max(self._limit, open_limit + 1)
            limit = self._limit
        else:
            is_full = total - of_admins >= open_limit or total >= self._limit
            limit = open_limit
        if is_full:
            raise QuotaExceeded(f"the limit of {limit} {self._name} is reached")
        share = max(1, int(self._limit * owner.share))
        if not owner.is_admin and self._uses[owner] >= share:
            raise ShareExceeded(f"this address already has its share of {share} {self._name}")

    def acquire(self, owner: Owner) -> None:
        """Count one more use, which `release` ends; raises as `check`."""
        self.check(owner)
        self._uses[owner] += 1

    def release(self, owner: Owner) -> None:
        """End a use."""
        self._uses[owner] -= 1
        if not self._uses[owner]:
            del self._uses[owner]

    @contextmanager
    def use(self, owner: Owner) -> Iterator[None]:
        """Count one more use while the context lasts; raises as `check`."""
        self.acquire(owner)
        try:
            yield
        finally:
            self.release(owner)


class Turns:
    """Lets one task at a time use a resource: each owner's next task in turn."""

    def __init__(self) -> None:
        """Start with the resource free."""
        self._is_taken = False
        self._latest: Owner | None = None
        self._waiting: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, owner: Owner) -> AsyncIterator[None]:
        """Wait for a turn, and have the resource while the context lasts."""
        if self._is_taken:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(owner, deque()).append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._pass_on()
                raise
        self._is_taken, self._latest = True, owner
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._latest is not None and self._latest in self._waiting:
            self._waiting.move_to_end(self._latest)
        while self._waiting:
            owner, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[owner] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._is_taken = False
