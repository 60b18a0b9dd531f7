"""Operations of the server itself: access, analyses, health checks, metrics and pages."""

from web.openapi.operation import (
    Json,
    bytes_response,
    json_response,
    object_schema,
    operation,
    path_parameter,
    ref,
    text_response,
)

_ACCESS, _ANALYSIS, _OPERATION, _PAGES = "Access", "Analysis", "Operation", "Pages"


def server_paths() -> dict[str, Json]:
    """Return the operations by path."""
    return {**_access_paths(), **_analysis_paths(), **_operation_paths(), **_page_paths()}


def _access_paths() -> dict[str, Json]:
    role = object_schema({"role": {"enum": ["admin", "viewer"]}})
    user = object_schema({"role": ref("Role"), "tokens": {"type": "boolean"}})
    token = {"type": "object", "properties": {"token": {"type": "string"}}, "required": ["token"]}
    return {
        "/login": {
            "get": _page("Get the login page", None),
            "post": operation(
                _ACCESS,
                "Log in",
                {"200": json_response("The role; sets the cookie.", role)},
                body={"application/json": {"schema": token}},
                errors=["400", "401"],
                role=None,
            ),
        },
        "/logout": {
            "post": operation(
                _ACCESS,
                "Log out",
                {"204": bytes_response("The cookie is no longer valid.")},
                role=None,
            )
        },
        "/api/me": {
            "get": operation(
                _ACCESS,
                "Get the current user",
                {"200": json_response("The role, and whether the server has tokens.", user)},
                role=None,
            )
        },
    }


def _analysis_paths() -> dict[str, Json]:
    token = path_parameter("token", "From the data channel.", r"^[A-Za-z0-9_-]{1,64}$")
    name = path_parameter(
        "name", "The file.", r"^(report\.(html|json)|concept-[A-Za-z0-9_'-]{1,64}\.webp)$"
    )
    stream = path_parameter("stream", "The id of a session.", r"^[A-Za-z0-9_-]{1,64}$")
    seq = path_parameter("seq", "The caption's sequence number.", r"^[0-9]{1,16}$")
    return {
        "/streams/{stream}/pictures/{seq}": {
            "get": operation(
                _ANALYSIS,
                "Get the frame of a caption",
                {"200": bytes_response("The frame.", "image/jpeg")},
                parameters=[stream, seq],
                errors=["404"],
            )
        },
        "/analyses/{token}": {
            "get": operation(
                _ANALYSIS,
                "Get an analysis",
                {"200": json_response("The analysis.", ref("analysis"))},
                parameters=[token],
                errors=["404"],
                role="admin",
            ),
            "delete": operation(
                _ANALYSIS,
                "Cancel or delete an analysis",
                {"204": bytes_response("The analysis was cancelled or deleted.")},
                parameters=[token],
                errors=["404"],
                role="admin",
            ),
        },
        "/analyses/{token}/{name}": {
            "get": operation(
                _ANALYSIS,
                "Get a file of an analysis",
                {"200": bytes_response("The file.", "text/html", "application/json", "image/webp")},
                parameters=[token, name],
                errors=["404"],
                role="admin",
            )
        },
    }


def _operation_paths() -> dict[str, Json]:
    health = object_schema(
        {"status": {"const": "ok"}, "sessions": {"type": "integer", "minimum": 0}}
    )
    ready = object_schema({"status": {"const": "ready"}})
    metrics = ("text/plain", "application/openmetrics-text")
    captioner = object_schema(
        {
            "state": {"enum": ["starting", "ready", "paused"]},
            "message": {"type": "string", "description": "For people; empty when ready."},
            "source": ref("source"),
            "model": {
                "oneOf": [{"type": "null"}, ref("model")],
                "description": "Null until it has been loaded.",
            },
        }
    )
    return {
        "/api/captioner": {
            "get": operation(
                _OPERATION,
                "Get the captioner",
                {"200": json_response("Where it comes from and what it can do.", captioner)},
            )
        },
        "/healthz": {
            "get": operation(
                _OPERATION,
                "Check whether the server is running",
                {"200": json_response("The server is running.", health)},
                role=None,
            )
        },
        "/readyz": {
            "get": operation(
                _OPERATION,
                "Check whether the captioner is ready",
                {"200": json_response("The captioner is ready.", ready)},
                role=None,
            )
        },
        "/metrics": {
            "get": operation(
                _OPERATION,
                "Get metrics",
                {"200": text_response("In the format of Prometheus or OpenMetrics.", *metrics)},
            )
        },
        "/openapi.json": {
            "get": operation(
                _OPERATION,
                "Get this document",
                {"200": json_response("OpenAPI 3.1.", {"type": "object"})},
            )
        },
    }


def _page_paths() -> dict[str, Json]:
    return {
        "/": {"get": _page("Get the main page", "viewer")},
        "/api": {"get": _page("Get this document as a page", "viewer")},
    }


def _page(summary: str, role: str | None) -> Json:
    responses = {"200": text_response("The page.", "text/html")}
    if role:
        responses["303"] = {"description": "Redirect of a browser without a token to `/login`."}
    return operation(_PAGES, summary, responses, role=role)
