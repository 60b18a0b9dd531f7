"""Captions by an endpoint: a server of the OpenAI chat completions API. Needs no TensorFlow."""

from inference.endpoints.captioner import EndpointCaptioner
from inference.endpoints.client import Endpoint
from inference.endpoints.occlusion import request_count

__all__ = ["Endpoint", "EndpointCaptioner", "request_count"]
