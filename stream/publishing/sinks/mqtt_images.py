"""Pictures on MQTT: the latest one of each feed."""

import asyncio
from collections.abc import Callable

from stream.broadcast import Broadcast
from stream.history import KeptPicture
from stream.publishing.sinks.mqtt_connection import MqttConnection

IMAGE = "image"
"""The last level of the topics."""

_MAX_FOUND = 1000
"""Topics of earlier runs that are noted, to be deleted."""


class ImageTopics:
    """The latest stored picture of each feed, retained at `TOPIC/FEED/image` as WebP.

    Of each feed only the latest picture waits for the broker. While the settings send no pictures,
    those that the broker has are deleted.
    """

    def __init__(
        self,
        topic: str,
        includes: Callable[[str], bool],
        changed: asyncio.Event,
        *,
        is_on: bool,
    ) -> None:
        """Prepare the topics.

        Args:
            topic: Prefix of all topics.
            includes: Whether a feed is published.
            changed: Set when there is something to publish.
            is_on: Whether pictures are sent.
        """
        self._topic, self._includes, self._changed = topic, includes, changed
        self._is_on = is_on
        self.feeds: set[str] = set()
        """The feeds that are published; sessions have no pictures."""
        self._outdated: set[str] = set()
        self._images: dict[str, bytes] = {}
        """The latest picture of each feed, unless the broker has it."""

    def __contains__(self, stream: str) -> bool:
        """Return whether pictures of a stream are published."""
        return self._is_on and stream in self.feeds

    @property
    def filters(self) -> list[str]:
        """Topic filters of the pictures to find and delete."""
        return [] if self._is_on else [f"{self._topic}/+/{IMAGE}"]

    def follow(self, pictures: Broadcast[KeptPicture]) -> Callable[[], None]:
        """Queue pictures; return how to end that."""
        return pictures.subscribe(self._on_picture)

    def topics_of(self, feed: str) -> list[str]:
        """Forget the picture of a feed that is gone; return the topics to delete."""
        self._images.pop(feed, None)
        return [f"{self._topic}/{feed}/{IMAGE}"] if self._is_on else []

    def note_retained(self, topic: str, body: bytes) -> bool:
        """Note a picture that the broker has; return whether the topic is that of one."""
        is_image = topic.startswith(f"{self._topic}/") and topic.endswith(f"/{IMAGE}")
        if is_image and body and len(self._outdated) < _MAX_FOUND:
            self._outdated.add(topic)
            self._changed.set()
        return is_image

    async def publish(self, connection: MqttConnection) -> bool:
        """Publish a picture that the broker does not have, or delete one that it should not have.

        Returns:
            Whether there was one.
        """
        if self._outdated:
            await connection.publish(self._outdated.pop(), "")
            return True
        if not self._images:
            return False
        feed = next(iter(self._images))
        image = self._images.pop(feed)
        try:
            await connection.publish(f"{self._topic}/{feed}/{IMAGE}", image)
        except BaseException:
            self._images.setdefault(feed, image)
            raise
        return True

    def _on_picture(self, kept: KeptPicture) -> None:
        if self._is_on and self._includes(kept.feed):
            self._images[kept.feed] = kept.picture.image
            self._changed.set()
