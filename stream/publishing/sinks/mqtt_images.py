"""Pictures on MQTT: the latest one of each feed."""

import asyncio
from collections.abc import Callable

from stream.broadcast import Broadcast
from stream.history import KeptPicture
from stream.publishing.sinks.mqtt_connection import MqttConnection

IMAGE = "image"
"""The last level of the topics."""


class ImageTopics:
    """The latest stored picture of each feed, retained at `TOPIC/FEED/image` as WebP.

    Of each feed only the latest picture waits for the broker.
    """

    def __init__(self, topic: str, includes: Callable[[str], bool], changed: asyncio.Event) -> None:
        """Prepare the topics.

        Args:
            topic: Prefix of all topics.
            includes: Whether a feed is published.
            changed: Set when there is something to publish.
        """
        self._topic, self._includes, self._changed = topic, includes, changed
        self._images: dict[str, bytes] = {}
        """The latest picture of each feed, unless the broker has it."""

    @property
    def filter(self) -> str:
        """The topic filter of all pictures."""
        return f"{self._topic}/+/{IMAGE}"

    def follow(self, pictures: Broadcast[KeptPicture]) -> Callable[[], None]:
        """Queue pictures; return how to end that."""
        return pictures.subscribe(self._on_picture)

    def forget(self, feed: str) -> None:
        """Forget the picture of a feed that is gone."""
        self._images.pop(feed, None)

    async def publish(self, connection: MqttConnection) -> bool:
        """Publish a picture that the broker does not have; return whether there was one."""
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
        if self._includes(kept.feed):
            self._images[kept.feed] = kept.picture.image
            self._changed.set()
