"""Builders for OpenAPI operations, parameters and responses."""

from collections.abc import Mapping, Sequence
from typing import Any

from stream.history import MAX_SPANS, MAX_TIME
from web.routes.query import DEFAULT_LIMIT, MAX_ID

Json = dict[str, Any]

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,39}$"
_ERRORS = {
    "400": "The request is invalid; the message gives the reason.",
    "401": "The token is missing or wrong.",
    "403": "The token does not allow the operation, or the request came from a page of another "
    "site, or its Host is not a name of this server.",
    "404": "Not found, or no longer available.",
    "406": "The response's content type is not in `Accept`.",
    "408": "The body took too long to arrive.",
    "409": "The name is already in use.",
    "412": "`If-Match` does not contain the session's ETag.",
    "413": "The body is too large.",
    "415": "The body's content type or coding is not supported.",
    "422": "ICE restarts are not supported.",
    "428": "`If-Match` is missing.",
    "429": "Too many requests, bytes, open streams or wrong tokens from this address; see "
    "`Retry-After`.",
    "500": "Internal server error; see the server's log.",
    "503": "The server is full, busy or not ready; see `Retry-After`.",
}


def ref(name: str) -> Json:
    """Refer to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_schema(properties: Json, description: str = "") -> Json:
    """Describe an object with exactly these properties, all required."""
    schema: Json = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"description": description, **schema} if description else schema


def json_response(description: str, schema: Json) -> Json:
    """Describe a JSON response."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def text_response(description: str, *types: str, headers: Mapping[str, Json] | None = None) -> Json:
    """Describe a text response of one of these content types."""
    return bytes_response(description, *types, schema={"type": "string"}, headers=headers)


def bytes_response(
    description: str,
    *types: str,
    schema: Json | None = None,
    headers: Mapping[str, Json] | None = None,
) -> Json:
    """Describe a response of one of these content types; without a body if there are none."""
    response: Json = {"description": description}
    if types:
        response["content"] = {kind: {"schema": schema or {}} for kind in types}
    if headers:
        response["headers"] = dict(headers)
    return response


def header(description: str, *, required: bool = True) -> Json:
    """Describe a response header."""
    return {"description": description, "required": required, "schema": {"type": "string"}}


def path_parameter(name: str, description: str, pattern: str) -> Json:
    """Describe a path parameter."""
    schema = {"type": "string", "pattern": pattern}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def query_parameter(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    """Describe a query parameter."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    }


TIME: Json = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": MAX_TIME},
        {"type": "string", "format": "date-time"},
    ]
}
TIMESTAMP: Json = {"type": "number", "description": "Seconds since the Unix epoch."}
TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
NAME_TEXT: Json = {"type": "string", "pattern": NAME_PATTERN}
NAME = path_parameter("name", "The name of a feed or published session.", NAME_PATTERN)
FEED = query_parameter("feed", "Only this feed.", NAME_TEXT)


def page_parameters(items: str, before: str) -> list[Json]:
    """Describe `limit` and `before` of a list.

    Args:
        items: What the list has, in the plural.
        before: The description of `before`.
    """
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_SPANS, "default": DEFAULT_LIMIT}
    return [
        query_parameter("limit", f"Maximum number of {items}.", limit),
        query_parameter("before", before, {**COUNT, "maximum": MAX_ID}),
    ]


def operation(
    tag: str,
    summary: str,
    responses: Mapping[str, Json],
    *,
    description: str = "",
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    errors: Sequence[str] = (),
    role: str | None = "viewer",
    error_schema: Json | None = None,
) -> Json:
    """Describe an operation: a method of a path.

    Args:
        tag: The section of the document.
        summary: An imperative phrase, such as "List feeds".
        responses: The responses on success, by status.
        description: Details, in sentences.
        parameters: In the path, the query and the headers.
        body: The request body, by content type.
        errors: Statuses of the operation's own errors; those of every operation are added.
        role: The role that it requires; None for everyone.
        error_schema: Of the bodies of errors; `Error` by default.
    """
    schema = error_schema or ref("Error")
    common = {"403", "429", "500", "503"} | ({"401"} if role else set())
    of_body = {"408", "413", "415"} if body else set()
    described: Json = {
        "tags": [tag],
        "summary": summary,
        "responses": {
            **responses,
            **{status: _error(status, schema) for status in sorted({*errors, *common, *of_body})},
        },
    }
    if description:
        described["description"] = description
    if parameters:
        described["parameters"] = list(parameters)
    if body:
        described["requestBody"] = {"required": True, "content": body}
    described["security"] = [{}, {"token": []}, {"cookie": []}] if role else [{}]
    if role:
        described["x-role"] = role
    return described


def _error(status: str, schema: Json) -> Json:
    response = json_response(_ERRORS[status], schema)
    if status in ("429", "503"):
        response["headers"] = {"Retry-After": header("Seconds to wait.", required=False)}
    if status == "401":
        response["headers"] = {"WWW-Authenticate": header("`Bearer`.", required=False)}
    return response
