"""Published streams, and how captions reach subscribers of one or all of them."""

from stream.publishing.publications import NameTaken, NoSuchStream, Publications, RecentSpans
from stream.publishing.subscription import SignalChange, StreamUpdate, subscribe

__all__ = [
    "NameTaken",
    "NoSuchStream",
    "Publications",
    "RecentSpans",
    "SignalChange",
    "StreamUpdate",
    "subscribe",
]
