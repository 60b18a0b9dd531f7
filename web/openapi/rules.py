"""Operations on rules, and their schemas."""

from pydantic.json_schema import models_json_schema

from stream.rules import Rule
from web.openapi.history import FROM, TO
from web.openapi.operation import (
    COUNT,
    FEED,
    NAME_PATTERN,
    NAME_TEXT,
    TEXT,
    TIMESTAMP,
    Json,
    bytes_response,
    json_response,
    object_schema,
    operation,
    page_parameters,
    path_parameter,
    query_parameter,
    ref,
)
from web.routes.rules import DryRunRequest

_TAG = "Rules"
_NAME = path_parameter("name", "The name of a rule.", NAME_PATTERN)


def rule_paths() -> dict[str, Json]:
    """Return the operations by path."""
    return {
        "/api/rules": {
            "get": operation(
                _TAG,
                "List rules",
                {"200": json_response("The rules, and the firings that last.", ref("Rules"))},
            )
        },
        "/api/rules/{name}": {
            "put": operation(
                _TAG,
                "Add or replace a rule",
                {"200": json_response("The rule.", ref("NamedRule"))},
                description="It is kept in the server's file of edited rules and in use at once. "
                "409 for a rule of the configuration, which can only be edited there.",
                parameters=[_NAME],
                body={"application/json": {"schema": ref("Rule")}},
                errors=["400", "404", "409"],
                role="admin",
            ),
            "delete": operation(
                _TAG,
                "Delete a rule",
                {"204": bytes_response("The rule is deleted.")},
                parameters=[_NAME],
                errors=["404", "409"],
                role="admin",
            ),
        },
        "/api/firings": {
            "get": operation(
                _TAG,
                "List past firings of rules",
                {"200": json_response("The matching firings, latest first.", ref("Firings"))},
                description="Without a history it returns 404, `history-off`.",
                parameters=[
                    query_parameter("rule", "Only this rule.", NAME_TEXT),
                    FEED,
                    FROM,
                    TO,
                    *page_parameters("firings", "As the last response returned it."),
                ],
                errors=["400", "404"],
            )
        },
        "/api/dry-run": {
            "post": operation(
                _TAG,
                "Try a rule on the history",
                {"200": json_response("When the rule would have fired.", ref("DryRun"))},
                description="By default on the captions of the last 24 hours. The history keeps "
                "one confidence for captions that stay the same, the highest: with a least "
                "`confidence`, live firings may begin later.",
                body={"application/json": {"schema": ref("DryRunRequest")}},
                errors=["400", "404"],
                role="admin",
            )
        },
    }


def rule_schemas() -> dict[str, Json]:
    """Return the schemas by name."""
    _, found = models_json_schema(
        [(Rule, "validation"), (DryRunRequest, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    models: dict[str, Json] = found["$defs"]
    firing = {
        "rule": TEXT,
        "feed": TEXT,
        "state": {"enum": ["on", "off"], "description": "`off` once it has ended."},
        "began": TIMESTAMP,
        "ended": {**TIMESTAMP, "type": ["number", "null"]},
        "message": {**TEXT, "description": "The rule's message, filled in."},
        "caption": {**TEXT, "description": "The caption that it fired on."},
        "words": {"type": "array", "items": TEXT},
    }
    picture = {
        "type": ["string", "null"],
        "description": "Path of the picture of what it fired on; null if none is stored, or for "
        "clients that may not see pictures. It is stored a moment after the firing.",
    }
    firings = {"type": "array", "items": ref("Firing")}
    rule = object_schema(
        {
            "name": TEXT,
            "origin": {"enum": ["configuration", "page"]},
            "settings": ref("Rule"),
            "on": {
                "type": "array",
                "items": TEXT,
                "description": "The feeds for which the rule is on.",
            },
            "fired": {**COUNT, "description": "Firings since the server started."},
            "suppressed": {
                **COUNT,
                "description": "Times when its cool-down kept it from firing, since then.",
            },
        }
    )
    return {
        **models,
        "Firing": object_schema(firing, "A firing of a rule on a feed."),
        "RecordedFiring": object_schema({**firing, "picture": picture}, "A firing in the history."),
        "Firings": object_schema(
            {
                "firings": {"type": "array", "items": ref("RecordedFiring")},
                "before": {
                    "type": ["integer", "null"],
                    "description": "Pass it as `before` to get older firings; null at the end.",
                },
            }
        ),
        "NamedRule": rule,
        "Rules": object_schema(
            {
                "rules": {"type": "array", "items": ref("NamedRule")},
                "lasting": firings,
                "read_only": {
                    "type": ["string", "null"],
                    "description": "Why rules cannot be edited here, and what to do.",
                },
                "history": {"type": "boolean", "description": "Whether firings are stored."},
            }
        ),
        "DryRun": object_schema(
            {
                "from": TIMESTAMP,
                "to": TIMESTAMP,
                "count": {**COUNT, "description": "Firings."},
                "suppressed": {
                    **COUNT,
                    "description": "Times when its cool-down would have kept it from firing.",
                },
                "firings": {**firings, "description": "The first 200 of them."},
                "spans": {**COUNT, "description": "Spans of the history that were read."},
                "until": {
                    **TIMESTAMP,
                    "type": ["number", "null"],
                    "description": "Where it ended, if there were more than 200,000 spans.",
                },
            }
        ),
    }
