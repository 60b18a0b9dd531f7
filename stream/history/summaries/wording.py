"""Summaries in English, for messages and terminals."""

from typing import Any

_MAX_NAMED = 5


def summary_text(summary: dict[str, Any]) -> str:
    """Return a summary in one line, as in `58 min of captions. Dog: 12 min, 3 times.`.

    Args:
        summary: As `Summary.to_json` returns it.
    """
    if not summary["captions"]:
        return "No captions."
    sentences = [f"{_extent(summary['captioned_s'], summary['captions'], 'of captions')}."]
    for each in summary["objects"][:_MAX_NAMED]:
        extent = _extent(each["seconds"], each["captions"])
        times = f", {each['times']} times" if each["times"] > 1 else ""
        sentences.append(f"{each['text'].capitalize()}: {extent}{times}.")
    others = len(summary["objects"]) + summary["more_objects"] - _MAX_NAMED
    if others > 0:
        sentences.append(f"And {others} more.")
    if summary["unsure_s"] >= 1:
        sentences.append(f"Not sure for {duration_text(summary['unsure_s'])}.")
    if summary["blank_s"] >= 1:
        sentences.append(f"Blank for {duration_text(summary['blank_s'])}.")
    return " ".join(sentences)


def duration_text(seconds: float) -> str:
    """Return a duration: `40 s`, `12 min` or `2 h 5 min`."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _extent(seconds: float, captions: int, of: str = "") -> str:
    """Return a duration or, of captions that stand alone, their number."""
    if seconds >= 1:
        return f"{duration_text(seconds)} {of}".strip()
    return f"{captions} caption{'s' if captions != 1 else ''}"
