"""Each new caption is posted to an address of the configuration.

Which captions are worth sending: those that say something else than the feed's last.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Collection
from urllib.parse import urlsplit

import aiohttp

from stream.broadcast import Broadcast, Subscription
from stream.captioning import CaptionEvent, feed_caption_json, in_one_line
from stream.publishing.sinks.settings import WebhookSettings
from stream.rate_limit import Pauses

ROOM = 100
"""Captions that wait while the receiver is slow or away; of more the oldest are lost."""

_LONGEST_PAUSE_S = 300.0
_MOST_ANSWER_BYTES = 4096
_TRY_AGAIN = frozenset({408, 425, 429})

logger = logging.getLogger(__name__)

_MOST_FEEDS = 256


class _Refused(Exception):
    """The receiver will not take it, however often it is sent."""


class _Away(Exception):
    """It may be taken later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Webhook:
    """Posts captions, one after another, as JSON.

    With a secret, `Sightline-Signature: t=TIME,v1=HEX` tells that it was this server: HEX is the
    HMAC-SHA256 (RFC 2104) of `TIME.BODY`, TIME in whole seconds since the Unix epoch, so that
    a receiver can also refuse what is old. A post that fails for a while is repeated, in order,
    after growing pauses, under the same `Sightline-Delivery`.
    """

    sent = 0
    """Captions that were taken."""
    refused = 0
    """Captions that the receiver answered with an error that does not pass."""
    failed = 0
    """Attempts that came to nothing."""

    def __init__(self, settings: WebhookSettings, pauses: Pauses | None = None) -> None:
        """Post by the settings, which have an address.

        Args:
            settings: Of the webhook.
            pauses: Between one attempt and the next.
        """
        assert settings.url
        self._settings, self._url = settings, settings.url.get_secret_value()
        self._pauses = pauses or Pauses()
        self._changes = Changes(settings.feeds)
        self._captions: Subscription[CaptionEvent] | None = None
        self._fails = False

    @property
    def dropped(self) -> int:
        """Captions that were lost since too many waited."""
        return self._captions.missed if self._captions else 0

    async def run(self, captions: Broadcast[CaptionEvent]) -> None:
        """Post what is new until cancelled."""
        new: Broadcast[CaptionEvent] = Broadcast()

        def pick(event: CaptionEvent) -> None:
            if self._changes.is_new(event):
                new.publish(event)

        end = captions.listen(pick)
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        try:
            with new.subscribe(ROOM) as self._captions:
                # No proxy of the environment, and no cookie is kept for whoever answers.
                jar = aiohttp.DummyCookieJar()
                async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar) as client:
                    async for event in self._captions:
                        await self._deliver(client, event)
        finally:
            end()

    async def _deliver(self, client: aiohttp.ClientSession, event: CaptionEvent) -> None:
        delivery = str(uuid.uuid4())
        while True:
            try:
                await self._post(client, event, delivery)
            except _Refused as problem:
                self.refused += 1
                self._note(str(problem))
                return
            except _Away as problem:
                self.failed += 1
                self._note(str(problem))
                await asyncio.sleep(problem.retry_after_s or self._pauses.next_s())
            else:
                self.sent += 1
                self._pauses.reset()
                self._note(None)
                return

    async def _post(
        self, client: aiohttp.ClientSession, event: CaptionEvent, delivery: str
    ) -> None:
        body = json.dumps({"event": "caption", "caption": feed_caption_json(event)}).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Sightline",
            "Sightline-Delivery": delivery,
        }
        if key := self._settings.key:
            headers["Sightline-Signature"] = signature(key, body, int(time.time()))
        try:
            async with client.post(
                self._url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await response.content.read(_MOST_ANSWER_BYTES)
                _judge(response)
        except TimeoutError as problem:
            raise _Away("it does not answer in time") from problem
        except (aiohttp.ClientError, OSError) as problem:
            # Not the message, which may repeat the address.
            raise _Away(f"it cannot be reached ({type(problem).__name__})") from problem

    def _note(self, problem: str | None) -> None:
        """Log when it begins to fail, and when it works again: not each time."""
        place = urlsplit(self._url).hostname
        if problem and not self._fails:
            logger.warning("the webhook at %s fails: %s", place, problem)
        elif self._fails and not problem:
            logger.info("the webhook at %s works again", place)
        self._fails = problem is not None


def signature(key: bytes, body: bytes, now: int) -> str:
    """Sign a post; `now` in seconds since the Unix epoch."""
    digest = hmac.new(key, b"%d.%b" % (now, body), hashlib.sha256).hexdigest()
    return f"t={now},v1={digest}"


def _judge(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status < 300:
        return
    if status < 400:
        raise _Refused(f"it answers {status}: redirects are not followed, give the final address")
    if status >= 500 or status in _TRY_AGAIN:
        raise _Away(f"it answers {status}", _retry_after_s(response))
    raise _Refused(f"it answers {status}")


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    text = response.headers.get("Retry-After", "")
    if not (text.isascii() and text.isdigit()):
        return None
    return min(float(text[:9]), _LONGEST_PAUSE_S) or None


class Changes:
    """Remembers what each feed said last; of so many feeds and no more."""

    def __init__(self, feeds: Collection[str] = ()) -> None:
        """Let through the captions of some feeds, or of all when there are none."""
        self._feeds = feeds
        self._last: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def concerns(self, stream: str) -> bool:
        """Whether captions of a stream are let through."""
        return not self._feeds or stream in self._feeds

    def is_new(self, event: CaptionEvent) -> bool:
        """Whether to let a caption through; it is the feed's last from now on."""
        meaning = in_one_line(event.caption), event.caption.guess
        if not self.concerns(event.stream) or self._last.get(event.stream) == meaning:
            return False
        self._last[event.stream] = meaning
        self._last.move_to_end(event.stream)
        while len(self._last) > _MOST_FEEDS:
            self._last.popitem(last=False)
        return True

    def forget(self, stream: str) -> None:
        """Let the next caption of a stream through, whatever it says."""
        self._last.pop(stream, None)
