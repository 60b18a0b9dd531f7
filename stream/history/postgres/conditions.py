"""Searches as conditions of PostgreSQL."""

from typing import Any

from stream.history import HistoryQuery
from stream.history.postgres.lexemes import Lexemes


def where(query: HistoryQuery, lexemes: Lexemes) -> tuple[str, list[Any]]:
    """Return the SQL that follows `FROM`, always with a `WHERE`, and its parameters."""
    terms, values = query.range_sql("spans.id")
    if query.words is not None:
        terms.append("spans.words @@ ?::tsquery")
        values.append(lexemes.query(query.words))
    return f"spans WHERE {' AND '.join(terms) or 'true'}", values
