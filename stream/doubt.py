"""How a caption is worded when it is too doubtful to be said as it is."""

from inference.caption import Caption

_PERHAPS = "Not sure. Perhaps:"
_NOTHING = "Not sure."


def worded(caption: Caption) -> tuple[str, str]:
    """The words that own up to a doubt, empty where there is none, and what is left to say."""
    if caption.fallback is None:
        return "", caption.text
    if not caption.text:
        return _NOTHING, ""
    return _PERHAPS, caption.text[0].lower() + caption.text[1:]


def in_one_line(caption: Caption) -> str:
    """`A dog runs`, or `Not sure. Perhaps: dog, ball`."""
    return " ".join(filter(None, worded(caption)))
