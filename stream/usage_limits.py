"""What the clients of all processes of a server may use together: explanations and analyses."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from stream.quota import HourlyLimit, Owner, Quota, QuotaExceeded

_MAX_EXPLANATIONS = 16


class UsageLimits(Protocol):
    """The limits as a session sees them, whichever process counts the uses."""

    def explanation(self, owner: Owner) -> AbstractAsyncContextManager[None]:
        """Count an explanation or a check while the context lasts; raises QuotaExceeded."""

    def analysis(self) -> AbstractAsyncContextManager[None]:
        """Count an analysis while the context lasts; raises QuotaExceeded."""

    async def take_requests(self, owner: Owner, count: int) -> None:
        """Count requests that an explanation sends to an endpoint; raises QuotaExceeded."""

    def allows_no_requests(self, owner: Owner) -> bool:
        """Whether the owner may cause no request to an endpoint at all."""


class LocalLimits:
    """Counts the uses in this process."""

    def __init__(self, analyses: int) -> None:
        """Start without uses.

        Args:
            analyses: Analyses at once, of all clients together.
        """
        self.explanations = Quota(_MAX_EXPLANATIONS, "explanations")
        """Explanations and checks that clients have requested."""
        self.endpoint_requests = HourlyLimit("requests to the endpoint")
        """Requests that viewers' explanations send to an endpoint."""
        self._max_analyses, self._analyses = analyses, 0

    @asynccontextmanager
    async def explanation(self, owner: Owner) -> AsyncIterator[None]:
        """Count an explanation or a check while the context lasts.

        Raises:
            ShareExceeded: If the owner's address has used up its share.
            QuotaExceeded: If there is no room.
        """
        with self.explanations.use(owner):
            yield

    @asynccontextmanager
    async def analysis(self) -> AsyncIterator[None]:
        """Count an analysis while the context lasts.

        Raises:
            QuotaExceeded: If the maximum number of analyses is running.
        """
        if self._analyses >= self._max_analyses:
            raise QuotaExceeded(
                f"{self._analyses} analyses are already running on this server; wait for one to "
                "finish"
            )
        self._analyses += 1
        try:
            yield
        finally:
            self._analyses -= 1

    async def take_requests(self, owner: Owner, count: int) -> None:
        """Count requests that an explanation sends to an endpoint; raises as `HourlyLimit.take`."""
        self.endpoint_requests.take(owner, count)

    def allows_no_requests(self, owner: Owner) -> bool:
        """Whether the owner may cause no request to an endpoint at all."""
        return self.endpoint_requests.allows_none(owner)
