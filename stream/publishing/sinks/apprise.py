"""Notifications of rules through Apprise, which reaches phones, chats and mail.

https://github.com/caronc/apprise
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

from stream.broadcast import Broadcast
from stream.feeds.source_reader import run_in_daemon_thread
from stream.history import Firing
from stream.publishing import RuleReports
from stream.publishing.sinks.firing_pictures import FiringPictures
from stream.publishing.sinks.settings import AppriseSettings
from stream.restart import Backoff

_QUEUE_SIZE = 100
"""Firings queued for a service; beyond that the oldest are dropped."""

_ATTEMPTS = 3

logger = logging.getLogger(__name__)


class AppriseUnavailable(RuntimeError):
    """Apprise is not installed, or does not know a URL; the message says what to do."""


class _Notification(NamedTuple):
    firing: Firing
    picture: "asyncio.Task[bytes | None] | None"
    """Looks for it; None if pictures are not sent."""


class AppriseSink:
    """Sends the beginning of each firing to all services, each in a thread of its own."""

    sent = 0
    """Notifications that a service accepted."""
    lost = 0
    """Notifications that were given up, or dropped because too many waited."""

    def __init__(
        self,
        settings: AppriseSettings,
        backoff: Callable[[], Backoff] = Backoff,
        pictures: FiringPictures | None = None,
    ) -> None:
        """Prepare the services.

        Args:
            settings: Settings with URLs.
            backoff: Creates the delays between attempts, of each service.
            pictures: Where the pictures are that are sent with firings; None to send none.

        Raises:
            AppriseUnavailable: If Apprise is not installed, or does not know a URL.
        """
        try:
            # Not before, since it is an extra.
            import apprise
        except ImportError as error:
            raise AppriseUnavailable(
                "[apprise] needs Apprise; install it with: pip install 'sightline[notify]'"
            ) from error
        # They log parts of URLs that are secret.
        for name in ("apprise", "urllib3", "oauthlib", "requests_oauthlib"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._timeout_s, self._create_backoff = settings.timeout_s, backoff
        self._pictures = pictures
        self._services = list[Any]()
        for number, url in enumerate(settings.all_urls, 1):
            service = apprise.Apprise.instantiate(url.get_secret_value())
            if service is None:
                raise AppriseUnavailable(
                    f"Apprise does not know URL {number} of [apprise]; see "
                    "https://appriseit.com/services for the form of each service"
                )
            self._services.append(service)

    async def run(self, reports: RuleReports) -> None:
        """Send until cancelled."""
        selected: Broadcast[_Notification] = Broadcast()
        finding = set[asyncio.Task[bytes | None]]()

        def select(firing: Firing) -> None:
            if firing.ended is not None or not reports.reaches(firing.rule, firing.feed, "apprise"):
                return
            task = None
            if self._pictures:
                # Once for all services, and at once, so that delays do not add up.
                task = asyncio.create_task(self._pictures.find(firing), name="pictures")
                finding.add(task)
                task.add_done_callback(finding.discard)
            selected.publish(_Notification(firing, task))

        unsubscribe = reports.firings.subscribe(select)
        try:
            async with asyncio.TaskGroup() as tasks:
                for number, service in enumerate(self._services, 1):
                    tasks.create_task(self._serve(number, service, selected), name="apprise")
        finally:
            unsubscribe()
            for task in finding:
                task.cancel()

    async def _serve(self, number: int, service: Any, firings: Broadcast[_Notification]) -> None:
        """Send to one service, so that a slow one does not delay the others."""
        dropped, is_failing, backoff = 0, False, self._create_backoff()
        # Without its URL, which may contain a secret.
        name = f"apprise URL {number} ({service.service_name})"
        with firings.queue(_QUEUE_SIZE) as queue:
            async for firing, picture in queue:
                image = None
                if picture:
                    await asyncio.wait({picture})
                    image = picture.result()
                is_sent = await self._deliver(name, service, backoff, firing, image)
                self.sent += is_sent
                self.lost += (not is_sent) + queue.dropped - dropped
                dropped = queue.dropped
                if is_sent is is_failing:
                    outcome = "works again" if is_sent else "fails; see its settings"
                    logger.warning("%s %s", name, outcome)
                    is_failing = not is_sent

    async def _deliver(
        self, name: str, service: Any, backoff: Backoff, firing: Firing, image: bytes | None
    ) -> bool:
        for attempt in range(1, _ATTEMPTS + 1):
            if attempt > 1:
                await asyncio.sleep(backoff.next_delay_s())
            # A service that refuses the picture still gets the message.
            attached = image if attempt < _ATTEMPTS else None
            if await self._send(name, partial(_notify, service, firing, attached)):
                backoff.reset()
                return True
        return False

    async def _send(self, name: str, send: "partial[bool]") -> bool:
        sending = run_in_daemon_thread(send, "apprise")
        try:
            done, _ = await asyncio.wait({sending}, timeout=self._timeout_s)
            if not done:
                # Threads that hang must not add up.
                logger.warning("%s does not end its answer; firings wait for it", name)
                await asyncio.wait({sending})
            # Whatever Apprise raises may repeat the URL.
            return bool(done) and sending.exception() is None and sending.result()
        finally:
            sending.cancel()


def _notify(service: Any, firing: Firing, image: bytes | None) -> bool:
    """Send to a service, which blocks; return whether it accepted."""
    title = f"{firing.rule}: {firing.feed}"
    if image is None:
        return bool(service.notify(body=firing.message, title=title))
    with _attachment(image) as attachment:
        return bool(service.notify(body=firing.message, title=title, attach=attachment))


@contextmanager
def _attachment(image: bytes) -> Iterator[Any]:
    """Yield an attachment of Apprise that never is on a disk."""
    from apprise.attachment.file import AttachFile
    from apprise.attachment.memory import AttachMemory

    kind = {"name": "picture.webp", "mimetype": "image/webp"}
    if not hasattr(os, "memfd_create"):
        yield cast(Any, AttachMemory)(image, **kind)
        return
    # Some services open the path of an attachment, which one in memory does not have.
    with os.fdopen(os.memfd_create("picture"), "wb") as file:
        file.write(image)
        file.flush()
        yield cast(Any, AttachFile)(f"/proc/self/fd/{file.fileno()}", **kind)
