"""Which format a client gets."""

import pytest

from web.images import ResultFormat, UnsupportedFormat, choose_format


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", ResultFormat.JSON),
        ("*/*", ResultFormat.JSON),
        ("image/png", ResultFormat.PNG),
        ("image/*", ResultFormat.PNG),
        ("application/x-npz", ResultFormat.NPZ),
        ("application/*", ResultFormat.JSON),
        ("text/html, image/avif, image/png;q=0.8, */*;q=0.1", ResultFormat.PNG),
        ("application/json;q=0.5, APPLICATION/X-NPZ", ResultFormat.NPZ),
        ("application/json;q=0, */*", ResultFormat.PNG),
        ("*/*;q=0.3, application/json;q=0.1", ResultFormat.PNG),
    ],
)
def test_the_preferred_format_is_chosen(accept: str, chosen: ResultFormat) -> None:
    assert choose_format(accept) is chosen


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "application/json;q=often", "x"])
def test_a_client_that_accepts_no_format_is_refused(accept: str) -> None:
    with pytest.raises(UnsupportedFormat, match="image/png, application/x-npz"):
        choose_format(accept)
