"""What a stream showed lately, as the captioner saw it: where concepts can be sought."""

import numpy as np
from numpy.typing import NDArray

from stream.stillness import Thumbnail, is_still

MOST_PICTURES = 60
"""Of a session: 12 MB at 260 x 260."""
_APART_S = 2.0
"""Between two pictures at least. Nearer ones would be the same scene once more."""


class RecentPictures:
    """The newest pictures of a stream that show something new: no more, ever.

    Offered by one thread at a time, read by any.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._pictures: tuple[NDArray[np.uint8], ...] = ()
        self._last: tuple[Thumbnail, float] | None = None

    def __len__(self) -> int:
        return len(self._pictures)

    def offer(self, picture: NDArray[np.uint8], small: Thumbnail, at_s: float) -> None:
        """Keep a picture, in place of the oldest, if it is new.

        Args:
            picture: RGB, uint8 [S, S, 3]; not to be changed from now on.
            small: Its thumbnail.
            at_s: Its time, of any clock that the stream keeps to.
        """
        if self._last:
            before, then_s = self._last
            if at_s - then_s < _APART_S or is_still(before, small):
                return
        self._last = small, at_s
        self._pictures = (*self._pictures, picture)[-MOST_PICTURES:]

    def all(self) -> tuple[NDArray[np.uint8], ...]:
        """All that are kept, the oldest first."""
        return self._pictures

    def clear(self) -> None:
        """Let all go."""
        self._pictures, self._last = (), None
