"""Published streams, and how captions reach subscribers of one or all of them."""

from stream.publishing.feed_pictures import FeedPictures
from stream.publishing.publications import (
    MAX_RECENT_CAPTIONS,
    CaptionedElsewhere,
    NameTaken,
    NoSuchStream,
    Publications,
    RecentSpans,
)
from stream.publishing.published_stream import PublishedStream, RemoteStream, StreamReport
from stream.publishing.rule_reports import ReportedRule, RuleReports
from stream.publishing.subscription import SignalChange, StreamUpdate, subscribe

__all__ = [
    "MAX_RECENT_CAPTIONS",
    "CaptionedElsewhere",
    "FeedPictures",
    "NameTaken",
    "NoSuchStream",
    "Publications",
    "PublishedStream",
    "RecentSpans",
    "RemoteStream",
    "ReportedRule",
    "RuleReports",
    "SignalChange",
    "StreamReport",
    "StreamUpdate",
    "subscribe",
]
