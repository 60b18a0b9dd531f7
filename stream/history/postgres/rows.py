"""Spans as rows of the table in PostgreSQL."""

from typing import Any

from stream.history import Span
from stream.history.postgres.lexemes import Lexemes


def to_row(span: Span, lexemes: Lexemes) -> tuple[Any, ...]:
    """Return the values of `schema.COLUMNS`."""
    *values, said, confidence, tags = span.to_row()
    objects = " ".join(tag.text for tag in span.tags)
    words = lexemes.vector(span.text, span.guess, objects)
    return (*values, None if said == span.text else said, confidence, tags, words)
