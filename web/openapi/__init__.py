"""The HTTP interface, described in OpenAPI 3.1: one place for what is served, tested and shown."""

from web.openapi.document import document

__all__ = ["document"]
