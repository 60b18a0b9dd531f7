"""Captions by an endpoint: a server of the OpenAI chat completions API. Needs no TensorFlow."""

from inference.endpoints.captioner import EndpointCaptioner
from inference.endpoints.client import Endpoint

__all__ = ["Endpoint", "EndpointCaptioner"]
