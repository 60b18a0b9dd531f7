"""Fair use of limited resources: quotas and turns, by client address and by role.

No viewer can take everything: an address gets a share, and a part is kept for admins.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from stream.rate_limit import RateLimit

_KEPT_FOR_ADMINS = 1 / 8
_HOUR_S = 3600.0
_MAX_NETWORKS = 1000


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


class HourlyLimit:
    """A limit of what viewers use in an hour, on average; an hour's worth may be used at once.

    Within it an address has its share. Admins are not limited, and their use does not count.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without a limit; `configure` sets one.

        Args:
            name: Of what is used, such as "requests", for the error messages.
            clock: Returns the time in seconds.
        """
        self._name, self._clock = name, clock
        self._limits: tuple[int, int] | None = None
        self._total: RateLimit | None = None
        self._by_network: OrderedDict[str, RateLimit] = OrderedDict()
        self.on_use: Callable[[Owner, int], None] = lambda owner, count: None
        """Called with each use that was counted."""

    def __len__(self) -> int:
        """Return the number of addresses whose use is remembered."""
        return len(self._by_network)

    def configure(self, per_hour: int, most_at_once: int) -> None:
        """Set the limit; a new one starts with nothing used.

        Args:
            per_hour: What all viewers together may use; 0 for nothing.
            most_at_once: The largest use that `take` counts. However small its share, an address
                may use so much if it has waited long enough.
        """
        if self._limits != (per_hour, most_at_once):
            self._limits = per_hour, most_at_once
            self._total = self._limit(1.0) if per_hour else None
            self._by_network.clear()

    def allows_none(self, owner: Owner) -> bool:
        """Whether the owner may use nothing at all."""
        return not owner.is_admin and self._limits is not None and not self._limits[0]

    def take(self, owner: Owner, count: int) -> None:
        """Count a use.

        Raises:
            ShareExceeded: If the owner's address has used up its share.
            QuotaExceeded: If all viewers together have reached the limit.
        """
        if self.allows_none(owner):
            raise QuotaExceeded(f"only an admin may cause {self._name}")
        if owner.is_admin or self._limits is None:
            return
        assert self._total
        own = self._own(owner)
        about = f"{self._name} ({self._limits[0]} an hour)"
        if wait_s := own.wait_s(count):
            raise ShareExceeded(
                f"this address has used its share of the viewers' {about}; "
                f"try again in {_minutes(wait_s)}"
            )
        if wait_s := self._total.wait_s(count):
            raise QuotaExceeded(
                f"viewers have used all of their {about}; try again in {_minutes(wait_s)}"
            )
        own.take(count)
        self._total.take(count)
        self.on_use(owner, count)

    def charge(self, owner: Owner, count: int) -> None:
        """Count a use that another server has allowed."""
        if self._total:
            self._own(owner).charge(count)
            self._total.charge(count)

    def _own(self, owner: Owner) -> RateLimit:
        own = self._by_network.setdefault(owner.network, self._limit(owner.share))
        self._by_network.move_to_end(owner.network)
        if len(self._by_network) > _MAX_NETWORKS:
            self._by_network.popitem(last=False)
        return own

    def _limit(self, share: float) -> RateLimit:
        assert self._limits
        per_hour, most_at_once = self._limits
        own = share * per_hour
        return RateLimit(own / _HOUR_S, self._clock, burst=max(own, most_at_once))


def _minutes(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


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
