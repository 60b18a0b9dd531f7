import json
from dataclasses import replace

import numpy as np
import pytest

from inference.captioning.caption import Caption, Timing
from inference.explanations.map import CaptionMaps, Map
from tests.support.captions import confident_caption


@pytest.mark.parametrize(("sent", "expected"), [(9, 9), (65, 65), (66, 33), (260, 65), (480, 60)])
def test_large_maps_are_downsampled_in_json(sent: int, expected: int) -> None:
    values = np.random.default_rng(0).random((sent, sent)).astype(np.float32)
    message = json.loads(json.dumps(Map(values).to_json()))
    received = Map.from_json(message).values

    block = sent // expected
    means = values.reshape(expected, block, expected, block).mean(axis=(1, 3))
    assert message["shape"] == [expected, expected]
    assert message["peak"] == pytest.approx(means.max(), rel=1e-3)
    np.testing.assert_allclose(received, means, atol=means.max() / 255)


def test_an_all_zero_map_survives_its_json_form() -> None:
    received = Map.from_json(Map(np.zeros((3, 5), np.float32)).to_json()).values

    assert received.shape == (3, 5)
    assert not received.any()


def test_captions_carry_their_maps() -> None:
    maps = [Map(np.full((2, 3), level, np.float32)) for level in (1, 2, 3)]
    caption = replace(
        confident_caption("A dog"),
        maps=CaptionMaps("gradcam", tuple(maps[:2]), maps[2]),
        timing_ms=Timing(1.0, 2.0, 0.5),
    )
    received = Caption.from_json(json.loads(json.dumps(caption.to_json())))

    assert received == caption
    assert received.maps
    assert received.maps.method == "gradcam"
    assert [each.values.max() for each in received.maps.words] == [1, 2]
    assert received.maps.caption.values.tolist() == maps[2].values.tolist()
    assert Caption.from_json(confident_caption("A dog").to_json()).maps is None
