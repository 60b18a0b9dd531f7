"""The page, who may come in, what was studied, and how the server is."""

from web.openapi.operation import Json, bytes_of, in_path, json_of, operation, ref, text_of

_ACCESS, _STUDY, _OPERATION, _PAGES = "Access", "Study", "Operation", "Pages"
_TOKEN = in_path("token", "What the data channel said.", r"^[A-Za-z0-9_-]{1,64}$")


def paths() -> dict[str, Json]:
    """Describe them by path."""
    return {**_access(), **_study(), **_operation(), **_pages()}


def _access() -> dict[str, Json]:
    role = _just(role={"enum": ["admin", "viewer"]})
    me = _just(role=ref("Role"), tokens={"type": "boolean"})
    token = {"application/json": {"schema": {**_just(token={"type": "string"})}}}
    del token["application/json"]["schema"]["additionalProperties"]
    return {
        "/login": {
            "get": _page("Log in", None),
            "post": operation(
                _ACCESS,
                "Change a token for a cookie",
                {"200": json_of("Who it is of; the cookie is set.", role)},
                body=token,
                errors=["400", "401"],
                role=None,
            ),
        },
        "/logout": {
            "post": operation(
                _ACCESS, "Make the cookie worthless", {"204": bytes_of("Done.")}, role=None
            )
        },
        "/api/me": {
            "get": operation(
                _ACCESS,
                "Tell who asks",
                {"200": json_of("The role, and whether the server has tokens.", me)},
                role=None,
            )
        },
    }


def _study() -> dict[str, Json]:
    name = in_path("name", "Which file.", r"^report\.(html|json)$")
    stream = in_path("stream", "The id of a session.", r"^[A-Za-z0-9_-]{1,64}$")
    seq = in_path("seq", "The caption's number.", r"^[0-9]{1,16}$")
    return {
        "/streams/{stream}/pictures/{seq}": {
            "get": operation(
                _STUDY,
                "Give the picture that a caption speaks of",
                {"200": bytes_of("The picture.", "image/jpeg")},
                parameters=[stream, seq],
                errors=["404"],
            )
        },
        "/analyses/{token}": {
            "get": operation(
                _STUDY,
                "Tell how it is with an analysis",
                {"200": json_of("The analysis.", ref("analysis"))},
                parameters=[_TOKEN],
                errors=["404"],
                role="admin",
            ),
            "delete": operation(
                _STUDY,
                "Give an analysis up, or forget what it found",
                {"204": bytes_of("Done.")},
                parameters=[_TOKEN],
                errors=["404"],
                role="admin",
            ),
        },
        "/analyses/{token}/{name}": {
            "get": operation(
                _STUDY,
                "Give the report of an analysis",
                {"200": bytes_of("The report.", "text/html", "application/json")},
                parameters=[_TOKEN, name],
                errors=["404"],
                role="admin",
            )
        },
    }


def _operation() -> dict[str, Json]:
    alive = _just(status={"const": "ok"}, sessions={"type": "integer", "minimum": 0})
    metrics = ("text/plain", "application/openmetrics-text")
    return {
        "/healthz": {"get": _told("Tell whether the server lives", alive)},
        "/readyz": {"get": _told("Tell whether it captions", _just(status={"const": "ready"}))},
        "/metrics": {
            "get": operation(
                _OPERATION,
                "Give the metrics",
                {"200": text_of("As Prometheus reads them.", *metrics)},
            )
        },
        "/openapi.json": {
            "get": operation(
                _OPERATION,
                "Give this document",
                {"200": json_of("OpenAPI 3.1.", {"type": "object"})},
            )
        },
    }


def _pages() -> dict[str, Json]:
    return {
        "/": {"get": _page("Show the page", "viewer")},
        "/api": {"get": _page("Show this document", "viewer")},
    }


def _page(summary: str, role: str | None) -> Json:
    # Whoever has no token is sent to the page where it can be given.
    answers = {"200": text_of("The page.", "text/html")}
    if role:
        answers["303"] = {"description": "To `/login`, for a browser without a token."}
    return operation(_PAGES, summary, answers, role=role)


def _told(summary: str, schema: Json) -> Json:
    return operation(_OPERATION, summary, {"200": json_of("It does.", schema)}, role=None)


def _just(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
