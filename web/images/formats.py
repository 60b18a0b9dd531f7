"""The formats of results, and which one a client accepts (RFC 9110, section 12.5.1)."""

from enum import Enum


class ResultFormat(Enum):
    """A format; the value is its content type."""

    JSON = "application/json"
    PNG = "image/png"
    """An image for people."""
    NPZ = "application/x-npz"
    """Arrays, as `numpy.load` reads them without pickle."""


class UnsupportedFormat(ValueError):
    """The client accepts none of the formats; the message is for the client."""


def choose_format(accept: str) -> ResultFormat:
    """Choose the format that a client prefers; JSON if it accepts all alike.

    Args:
        accept: The header Accept; empty if there is none.

    Raises:
        UnsupportedFormat: If it accepts none.
    """
    ranges = [_read_range(each) for each in accept.lower().split(",") if each.strip()]
    if not ranges:
        return ResultFormat.JSON
    # The first of equal ones wins.
    best = max(ResultFormat, key=lambda each: _quality(each.value, ranges))
    if _quality(best.value, ranges) <= 0:
        known = ", ".join(each.value for each in ResultFormat)
        raise UnsupportedFormat(f"the response is one of {known}; allow one of them in Accept")
    return best


def _quality(content_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return the quality of the most specific range that includes a content type."""
    kind = content_type.partition("/")[0]
    for wanted in (content_type, f"{kind}/*", "*/*"):
        if found := [quality for name, quality in ranges if name == wanted]:
            return max(found)
    return 0.0


def _read_range(text: str) -> tuple[str, float]:
    """Return a media range and its quality, 0..1; 0 if it is invalid."""
    name, *parameters = (part.strip() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return name, quality if 0 <= quality <= 1 else 0.0
