"""What a stream that can be watched may be called: it stands in addresses and topics."""

import re

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def check_stream_name(name: str) -> str:
    """Return the name.

    Raises:
        ValueError: If it is none.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:60]!r} is no name: use 1 to 40 of a-z, 0-9, _ and -, a letter or digit first"
        )
    return name
