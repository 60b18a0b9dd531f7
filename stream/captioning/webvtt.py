"""Cues of WebVTT (W3C): a time to begin, a time to end, and a text."""

HEADER = "WEBVTT\n"


_TICK = 1000


def cue(begin_s: float, end_s: float, text: str) -> str:
    """Write a cue, with the empty line before it; it lasts a millisecond at least.

    Args:
        begin_s: Seconds since the time that is zero; what lies before is cut off.
        end_s: The same.
        text: One line of plain text; what WebVTT would take for markup is escaped.
    """
    begin = max(0, round(begin_s * _TICK))
    end = max(begin + 1, round(end_s * _TICK))
    return f"\n{timestamp(begin)} --> {timestamp(end)}\n{_escaped(text)}\n"


def note(text: str) -> str:
    """Write a comment of one line, with the empty line before it."""
    return f"\nNOTE {text.replace('-->', '->')}\n"


def timestamp(milliseconds: int, mark: str = ".") -> str:
    """Write `01:02:03.004`; the mark stands before the milliseconds."""
    whole, rest = divmod(milliseconds, _TICK)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{rest:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
