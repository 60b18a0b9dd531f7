"""Cameras that the server keeps watching by itself, as its configuration names them."""

from stream.feeds.feed import Feeds
from stream.feeds.settings import FeedName, FeedSettings

__all__ = [
    "FeedName",
    "FeedSettings",
    "Feeds",
]
