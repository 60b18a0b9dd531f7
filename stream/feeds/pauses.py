"""How long to wait before a source is tried again."""

import random

FIRST_S = 1.0
LONGEST_S = 60.0
_JITTER = 0.2


class Pauses:
    """Pauses that double from one failure to the next.

    Each is up to a fifth shorter or longer, so that many feeds that lost one network do not come
    back at once.
    """

    def __init__(self, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        """Begin with the first pause.

        Args:
            first_s: In seconds.
            longest_s: In seconds; where doubling ends.
        """
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def next_s(self) -> float:
        """Give the seconds to wait now."""
        pause_s = self._next_s
        self._next_s = min(2 * pause_s, self._longest_s)
        return pause_s * random.uniform(1 - _JITTER, 1 + _JITTER)

    def reset(self) -> None:
        """Begin anew, since it went well."""
        self._next_s = self._first_s
