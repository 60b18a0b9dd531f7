import numpy as np
import pytest

from inference.adversarial.findings import Regions
from inference.report.regions_part import lit, places

LABELS = np.arange(9, dtype=np.int32).reshape(3, 3).repeat(10, axis=0).repeat(10, axis=1)


def test_chosen_regions_keep_their_colours_and_the_rest_is_dim_and_grey() -> None:
    picture = np.full((30, 30, 3), (200, 100, 0), np.uint8)
    seen = lit(picture, LABELS, (4,))

    assert (seen[10:20, 10:20] == picture[10:20, 10:20]).all()
    assert (seen[9, 10:20] == 255).all()
    assert (seen[:9] == 30).all()


@pytest.mark.parametrize(
    ("label", "where"),
    [(0, "upper left"), (1, "upper"), (3, "left"), (4, "centre"), (8, "lower right")],
)
def test_regions_are_named_by_where_they_are(label: int, where: str) -> None:
    assert places(Regions(4.0, LABELS, 9), (label,)) == f"{label} ({where})"
