"""The parts that an operation is described with."""

from collections.abc import Mapping, Sequence
from typing import Any

from stream.history import LATEST

Json = dict[str, Any]

NAME_PATTERN = "^[a-z0-9][a-z0-9_-]{0,39}$"
_ERRORS = {
    "400": "What was sent or asked for cannot be; the message says why.",
    "401": "There is no token, or it is wrong.",
    "403": "The token is a viewer's and this needs an admin's; or a page of another site asks, or "
    "the server is asked for by a name that is not its own.",
    "404": "There is no such thing, or not any more.",
    "406": "The answer is of another type than what is accepted.",
    "408": "The body took too long to come.",
    "409": "The name is taken.",
    "412": "`If-Match` names another ETag than the session's.",
    "413": "The body is too large.",
    "415": "The body is of another type.",
    "422": "ICE is not restarted here.",
    "428": "`If-Match` is missing.",
    "429": "Too much came from this address, or too many wrong tokens; see `Retry-After`.",
    "500": "Something went wrong on the server; its log says what.",
    "503": "The server is full, busy or not ready; see `Retry-After`.",
}


def ref(name: str) -> Json:
    """Refer to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_of(description: str, schema: Json) -> Json:
    """Describe an answer in JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def text_of(description: str, *types: str, headers: Mapping[str, Json] | None = None) -> Json:
    """Describe an answer that is text of one of these types."""
    return bytes_of(description, *types, schema={"type": "string"}, headers=headers)


def bytes_of(
    description: str,
    *types: str,
    schema: Json | None = None,
    headers: Mapping[str, Json] | None = None,
) -> Json:
    """Describe an answer of one of these types."""
    body: Json = {"description": description}
    if types:
        body["content"] = {kind: {"schema": schema or {}} for kind in types}
    if headers:
        body["headers"] = dict(headers)
    return body


def header(description: str, *, required: bool = True) -> Json:
    """Describe a header of an answer."""
    return {"description": description, "required": required, "schema": {"type": "string"}}


def in_path(name: str, description: str, pattern: str) -> Json:
    """Describe a part of the path."""
    schema = {"type": "string", "pattern": pattern}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
    }


def in_query(name: str, description: str, schema: Json, *, required: bool = False) -> Json:
    """Describe a parameter after the question mark."""
    return {
        "name": name,
        "in": "query",
        "required": required,
        "description": description,
        "schema": schema,
    }


TIME: Json = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": LATEST},
        {"type": "string", "format": "date-time"},
    ]
}
NAME = in_path("name", "The name of a feed or of a published session.", NAME_PATTERN)
FEED = in_query("feed", "Only this feed.", {"type": "string", "pattern": NAME_PATTERN})


def operation(
    tag: str,
    summary: str,
    answers: Mapping[str, Json],
    *,
    description: str = "",
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    errors: Sequence[str] = (),
    role: str | None = "viewer",
) -> Json:
    """Describe what a method of a path does.

    Args:
        tag: The part of the interface that it belongs to.
        summary: In a few words.
        answers: What it answers when it goes well, by status.
        description: In some sentences.
        parameters: In the path, the query and the headers.
        body: What it takes, by content type.
        errors: The statuses of its own errors; those that any request may meet are added.
        role: Who may; None for everyone.
    """
    anyones = {"403", "429", "500", "503"} | ({"401"} if role else set())
    ofs = {"408", "413"} if body else set()
    told: Json = {
        "tags": [tag],
        "summary": summary,
        "responses": {
            **answers,
            **{status: _error(status) for status in sorted({*errors, *anyones, *ofs})},
        },
    }
    if description:
        told["description"] = description
    if parameters:
        told["parameters"] = list(parameters)
    if body:
        told["requestBody"] = {"required": True, "content": body}
    told["security"] = [{}, {"token": []}, {"cookie": []}] if role else [{}]
    if role:
        told["x-role"] = role
    return told


def _error(status: str) -> Json:
    told = json_of(_ERRORS[status], ref("Error"))
    if status in ("429", "503"):
        told["headers"] = {"Retry-After": header("In seconds.", required=False)}
    if status == "401":
        told["headers"] = {"WWW-Authenticate": header("`Bearer`.", required=False)}
    return told
