"""TODO."""

from stream.publishing.publications import NameTaken, NoSuchStream, Publications
from stream.publishing.subscription import News, RecentSpans, SignalChange, news_of

__all__ = [
    "NameTaken",
    "News",
    "NoSuchStream",
    "Publications",
    "RecentSpans",
    "SignalChange",
    "news_of",
]
