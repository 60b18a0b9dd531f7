"""Searches as conditions of SQLite and its full-text index."""

from dataclasses import dataclass
from typing import Any

from stream.history import HistoryQuery
from stream.history.search_text import AllOf, AnyOf, Not, Search, Term


@dataclass(frozen=True, slots=True)
class Condition:
    """What the words of a search mean to the database."""

    match: str | None = None
    """An FTS5 expression that must match; it finds the spans by the full-text index."""
    sql: str = ""
    """A further condition on `spans`; empty for none."""
    values: tuple[str, ...] = ()
    """The parameters of `sql`."""

    def as_sql(self) -> tuple[str, tuple[str, ...]]:
        """Return the condition as SQL alone, in parentheses, and its parameters."""
        if self.match is None:
            return f"({self.sql})", self.values
        found = "spans.id IN (SELECT rowid FROM words WHERE words MATCH ?)"
        if not self.sql:
            return f"({found})", (self.match,)
        return f"({found} AND {self.sql})", (self.match, *self.values)


def condition_of(search: Search | None) -> Condition:
    """Return a search as a condition."""
    match search:
        case None:
            return Condition()
        case Term():
            return _term(search)
        case Not():
            sql, values = condition_of(search.part).as_sql()
            return Condition(None, f"NOT {sql}", values)
        case AllOf():
            parts = search.significant
            excluded = [found for part in parts if (found := _excluded_match(part))]
            if len(excluded) < len(parts) and any(condition_of(part).match for part in parts):
                # The index can exclude only from what it finds.
                parts = tuple(part for part in parts if not _excluded_match(part))
            else:
                excluded = []
            conditions = [condition_of(part) for part in parts]
            matches = [each.match for each in conditions if each.match]
            return Condition(
                " NOT ".join([" AND ".join(matches), *excluded]) or None,
                " AND ".join(each.sql for each in conditions if each.sql),
                tuple(value for each in conditions for value in each.values),
            )
        case AnyOf():
            return _any_of([condition_of(part) for part in search.parts])


def where(query: HistoryQuery) -> tuple[str, list[Any]]:
    """Return the SQL that follows `FROM`, always with a `WHERE`, and its parameters."""
    words = condition_of(query.words)
    terms, values = query.range_sql(id_column(query))
    tables = "spans"
    if words.match is not None:
        tables = "words JOIN spans ON spans.id = words.rowid"
        terms.insert(0, "words MATCH ?")
        values.insert(0, words.match)
    if words.sql:
        terms.append(words.sql)
        values += words.values
    return f"{tables} WHERE {' AND '.join(terms) or 'true'}", values


def id_column(query: HistoryQuery) -> str:
    """Return the column of the id: FTS5 filters and orders efficiently only by its own row id."""
    return "spans.id" if condition_of(query.words).match is None else "words.rowid"


def _excluded_match(search: Search) -> str | None:
    """Return what the index must not find; None unless the search excludes only that."""
    found = condition_of(search.part) if isinstance(search, Not) else Condition()
    return f"({found.match})" if found.match and not found.sql else None


def _term(term: Term) -> Condition:
    match = None if term.kind == "prefix" else f'"{term.words}"'
    if term.kind == "word":
        return Condition(match)
    sql = "contains_words(?, spans.text, spans.guess, spans.objects)"
    return Condition(match, sql, (term.needle,))


def _any_of(conditions: list[Condition]) -> Condition:
    matches = [each.match for each in conditions if each.match and not each.sql]
    if len(matches) == len(conditions):
        return Condition(f"({' OR '.join(matches)})")
    pairs = [each.as_sql() for each in conditions]
    return Condition(
        None,
        f"({' OR '.join(sql for sql, _ in pairs)})",
        tuple(value for _, values in pairs for value in values),
    )
