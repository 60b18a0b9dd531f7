"""Chat completions in the format of the OpenAI API: requests with an image, and their responses."""

from web.completions.request import CompletionRequest, RequestError, request_schemas
from web.completions.response import Completion

__all__ = ["Completion", "CompletionRequest", "RequestError", "request_schemas"]
