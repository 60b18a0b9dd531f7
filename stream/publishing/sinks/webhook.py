"""A webhook: captions and firings of rules are posted to a URL as JSON, signed and retried."""

import asyncio
import hashlib
import hmac
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from stream.broadcast import Broadcast, Subscription
from stream.captioning import CaptionEvent, feed_caption_json
from stream.history import Firing, KeptPicture
from stream.publishing import RuleReports
from stream.publishing.sinks.settings import WebhookSettings
from stream.publishing.subscription import ChangeFilter
from stream.rate_limit import RateLimit
from stream.restart import Backoff

PICTURE_QUEUE_SIZE = 20
"""Pictures queued likewise."""

WEBHOOK_QUEUE_SIZE = 100
"""Captions queued while the receiver is slow or unavailable; beyond that the oldest are dropped."""

_MAX_RETRY_AFTER_S = 300.0
_MAX_RESPONSE_BYTES = 4096
_LOG_LINES_PER_S, _LOG_BURST = 1 / 60, 10
_DELIVERIES = uuid.UUID("5c1d5a52-3c0f-4a35-9d7c-6f3f0f3c7a10")
"""Namespace of the ids of deliveries (RFC 9562, version 5)."""

_RETRYABLE_STATUSES = frozenset({408, 425, 429})

Json = dict[str, Any]
Outcome = Literal["sent", "refused", "expired"]

logger = logging.getLogger(__name__)


class _PermanentError(Exception):
    """The receiver rejects a caption, and would do so again."""


class _TemporaryError(Exception):
    """Delivery failed, but a retry may succeed."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class WebhookSink:
    """Posts captions as JSON, one after another, and firings of rules beside them.

    With a secret, the header `Sightline-Signature: t=TIME,v1=HEX` proves the sender: HEX is the
    HMAC-SHA256 (RFC 2104) of `TIME.BODY`, TIME in whole seconds since the Unix epoch, so that a
    receiver can also reject replays. After a temporary failure a post is repeated with backoff, in
    order, with the same `Sightline-Delivery`, until `retry_s` have passed; then the next one is
    posted, so that a caption that the receiver cannot handle does not hold up the rest.
    """

    sent = 0
    """Captions that the receiver accepted."""
    refused = 0
    """Captions that the receiver rejected permanently."""
    expired = 0
    """Captions that were given up after repeated failures."""
    failed = 0
    """Attempts that failed temporarily."""
    skipped = 0
    """Captions of a cluster's log that were lost because too many waited."""

    def __init__(self, settings: WebhookSettings, backoff: Backoff | None = None) -> None:
        """Prepare a webhook.

        Args:
            settings: Settings with a URL.
            backoff: Delays between attempts.
        """
        assert settings.url
        self._settings, self._url = settings, settings.url.get_secret_value()
        self._backoff = backoff or Backoff()
        self._filter = ChangeFilter(settings.feeds)
        self._captions: Subscription[CaptionEvent] | None = None
        self._firings: Subscription[Firing] | None = None
        self._lost_firings = 0
        self._host = urlsplit(self._url).hostname
        self._is_failing = False
        """Whether the log says so."""
        self._log_rate = RateLimit(_LOG_LINES_PER_S, burst=_LOG_BURST)

    @property
    def dropped(self) -> int:
        """Captions that were lost because too many waited."""
        return self.skipped + (self._captions.dropped if self._captions else 0)

    @property
    def lost(self) -> int:
        """Captions that the receiver did not get, for whatever reason."""
        return self.dropped + self.refused + self.expired

    @property
    def lost_firings(self) -> int:
        """Firings of rules that the receiver did not get, for whatever reason."""
        return self._lost_firings + (self._firings.dropped if self._firings else 0)

    async def run(self, captions: Broadcast[CaptionEvent]) -> None:
        """Post new captions until cancelled."""
        selected: Broadcast[CaptionEvent] = Broadcast()

        def select(event: CaptionEvent) -> None:
            if self.selects(event):
                selected.publish(event)

        unsubscribe = captions.subscribe(select)
        try:
            with selected.queue(WEBHOOK_QUEUE_SIZE) as self._captions:
                async with self.opened() as deliver:
                    async for event in self._captions:
                        await deliver(event)
        finally:
            unsubscribe()

    def selects(self, event: CaptionEvent) -> bool:
        """Whether to post a caption: it differs from the last one of its feed."""
        return "caption" in self._settings.events and self._filter.is_new(event)

    async def run_firings(self, reports: RuleReports) -> None:
        """Post the firings of rules until cancelled; they do not wait behind captions."""
        selected: Broadcast[Firing] = Broadcast()

        def select(firing: Firing) -> None:
            is_wanted = "rule" in self._settings.events and self._filter.includes(firing.feed)
            if is_wanted and reports.reaches(firing.rule, firing.feed, "webhook"):
                selected.publish(firing)

        unsubscribe = reports.firings.subscribe(select)
        try:
            with selected.queue(WEBHOOK_QUEUE_SIZE) as self._firings:
                async with self._client() as client:
                    async for firing in self._firings:
                        rule = firing.to_json()
                        body: Json = {"event": "rule", "rule": rule}
                        delivery = f"{firing.id}-{rule['state']}"
                        outcome = await self._deliver(
                            client, f"a firing of the rule {firing.rule}", delivery, body
                        )
                        self._lost_firings += outcome != "sent"
        finally:
            unsubscribe()

    async def run_pictures(self, pictures: Broadcast[KeptPicture]) -> None:
        """Post the pictures that the history stores, until cancelled; nothing waits for them."""
        selected: Broadcast[KeptPicture] = Broadcast()

        def select(kept: KeptPicture) -> None:
            if "picture" in self._settings.events and self._filter.includes(kept.feed):
                selected.publish(kept)

        unsubscribe = pictures.subscribe(select)
        try:
            with selected.queue(PICTURE_QUEUE_SIZE) as queue:
                async with self._client() as client:
                    async for kept in queue:
                        body: Json = {"event": "picture", "picture": kept.to_json()}
                        delivery = f"picture-{kept.picture.span}"
                        await self._deliver(client, "a picture", delivery, body)
        finally:
            unsubscribe()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Callable[[CaptionEvent], Awaitable[None]]]:
        """Open a client; the context is a function that posts a caption until that succeeds."""
        async with self._client() as client:
            yield partial(self._deliver_caption, client)

    def _client(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        # No proxy from the environment, and no cookies of the receiver are kept.
        jar = aiohttp.DummyCookieJar()
        return aiohttp.ClientSession(timeout=timeout, cookie_jar=jar)

    async def _deliver_caption(self, client: aiohttp.ClientSession, event: CaptionEvent) -> None:
        def body() -> Json:
            return {"event": "caption", "caption": feed_caption_json(event)}

        outcome = await self._deliver(client, "a caption", event.id, body)
        self.sent += outcome == "sent"
        self.refused += outcome == "refused"
        self.expired += outcome == "expired"

    async def _deliver(
        self, client: aiohttp.ClientSession, what: str, id_: str, body: Json | Callable[[], Json]
    ) -> Outcome:
        """Post something until that succeeds.

        Args:
            client: The client.
            what: What it is, for the log.
            id_: What the receiver can recognise it by.
            body: The JSON to post, or a function that returns what to post now.
        """
        # The same if another server of a cluster sends it again.
        delivery, started = str(uuid.uuid5(_DELIVERIES, id_)), time.monotonic()
        while True:
            try:
                await self._post(client, body() if callable(body) else body, delivery)
            except _PermanentError as problem:
                self._log_state(str(problem))
                return "refused"
            except _TemporaryError as problem:
                self.failed += 1
                expired = time.monotonic() - started >= self._settings.retry_s
                self._log_state(str(problem))
                if expired:
                    tried_s = time.monotonic() - started
                    about = "webhook at %s: gave up %s after %.0f s: %s"
                    logger.warning(about, self._host, what, tried_s, problem)
                # Also before the next caption: the delay is for the receiver's sake.
                await asyncio.sleep(problem.retry_after_s or self._backoff.next_delay_s())
                if expired:
                    return "expired"
            else:
                self._backoff.reset()
                self._log_state(None)
                return "sent"

    async def _post(self, client: aiohttp.ClientSession, values: Json, delivery: str) -> None:
        body = json.dumps(values).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Sightline",
            "Sightline-Delivery": delivery,
        }
        if key := self._settings.signing_key:
            headers["Sightline-Signature"] = signature(key, body, int(time.time()))
        try:
            async with client.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(_MAX_RESPONSE_BYTES)
                _check_status(response)
        except TimeoutError as problem:
            raise _TemporaryError("no response in time") from problem
        except (aiohttp.ClientError, OSError) as problem:
            # Without its message, which may repeat the URL.
            raise _TemporaryError(f"cannot be reached ({type(problem).__name__})") from problem

    def _log_state(self, error: str | None) -> None:
        """Log when the webhook starts to fail, and when it recovers, not each time.

        A receiver that rejects every second caption does so all the time, so the rate is limited.
        """
        if bool(error) is self._is_failing or not self._log_rate.take():
            return
        if error:
            logger.warning("webhook at %s fails: %s", self._host, error)
        else:
            logger.info("webhook at %s works again", self._host)
        self._is_failing = bool(error)


def signature(key: bytes, body: bytes, now: int) -> str:
    """Return the signature of a post; `now` in seconds since the Unix epoch."""
    digest = hmac.new(key, b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


def _check_status(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status < 300:
        return
    if status < 400:
        raise _PermanentError(
            f"status {status}; redirects are not followed, configure the final URL"
        )
    if status >= 500 or status in _RETRYABLE_STATUSES:
        raise _TemporaryError(f"status {status}", _retry_after_s(response))
    raise _PermanentError(f"status {status}")


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return min(float(text[:9]), _MAX_RETRY_AFTER_S) or None
