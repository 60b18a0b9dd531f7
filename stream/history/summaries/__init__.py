"""Summaries of past captions: which objects they stated, for how long, and what changed."""

from stream.history.summaries.objects import StatedObject, objects_of
from stream.history.summaries.summary import Record, Summaries, Summary
from stream.history.summaries.wording import summary_text

__all__ = ["Record", "StatedObject", "Summaries", "Summary", "objects_of", "summary_text"]
