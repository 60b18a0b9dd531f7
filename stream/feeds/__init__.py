"""Feeds: sources of the configuration that the server captions around the clock or on demand."""

from stream.feeds.feed import Feeds
from stream.feeds.settings import FeedName, FeedSettings

__all__ = [
    "FeedName",
    "FeedSettings",
    "Feeds",
]
