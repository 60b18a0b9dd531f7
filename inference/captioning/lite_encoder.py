"""The encoder in LiteRT, converted once and cached."""

import hashlib

import keras
import numpy as np
import tensorflow as tf

from inference.captioning.encoder_cache import cached_conversion
from models.lite import LiteNetwork, make_converter


def lite_encoder(encoder: keras.Model, threads: int) -> LiteNetwork:
    """Convert an encoder in single precision, or load its conversion from the cache."""
    name = f"{encoder.name}-{encoder_digest(encoder)[:32]}.float32"
    model = cached_conversion(name, lambda: bytes(make_converter(encoder).convert()))
    return LiteNetwork(model, threads)


def encoder_digest(encoder: keras.Model) -> str:
    """Return a hexadecimal SHA-256 of the layers, the weights and the version of TensorFlow."""
    digest = hashlib.sha256(f"{tf.__version__} {encoder.to_json()}".encode())
    for variable in encoder.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).data)
    return digest.hexdigest()
