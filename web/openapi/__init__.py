"""The HTTP API as an OpenAPI 3.1 document, served as `/openapi.json` and rendered at `/api`."""

from web.openapi.document import document

__all__ = ["document"]
