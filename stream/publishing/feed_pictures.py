"""Pictures of feeds for the history; sessions, which people share, have none."""

from stream.captioning import CaptionEvent
from stream.publishing.publications import NoSuchStream, Publications


class FeedPictures:
    """The frames of the captions of feeds, from whichever process of this server has them."""

    def __init__(self, publications: Publications) -> None:
        """Offer pictures of the published feeds."""
        self._publications = publications

    def offers(self, event: CaptionEvent) -> bool:
        """Return whether the caption is of a feed of the configuration."""
        try:
            return self._publications.find(event.stream).kind == "feed"
        except NoSuchStream:
            return False

    async def read(self, event: CaptionEvent) -> bytes:
        """Return a caption's frame as a small WebP.

        Raises:
            NoSuchStream: If its feed is gone.
            FrameNotFound: If the frame is not kept any more.
        """
        stream = self._publications.find(event.stream)
        if stream.kind != "feed":
            raise NoSuchStream(f"there is no feed named {event.stream} any more")
        return await stream.small_picture(event.seq)
