"""`/openapi.json`, and `/api`: the same document as an HTML page without scripts."""

import json
from functools import cache
from typing import Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from web.openapi import document

_METHODS = ("get", "post", "patch", "delete", "options")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/openapi.json` and `/api`."""
    return [web.get("/openapi.json", _openapi_json), web.get("/api", _page)]


async def _openapi_json(request: web.Request) -> web.Response:
    return web.Response(text=_json(), content_type="application/json")


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=_html(), content_type="text/html")


@cache
def _json() -> str:
    return json.dumps(document(), indent=1)


@cache
def _html() -> str:
    environment = Environment(
        loader=PackageLoader("web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["inline_code"] = _inline_code
    described = document()
    return environment.get_template("api.html.jinja").render(
        description=described["info"]["description"],
        sections=[_section(tag) for tag in described["tags"]],
        schemas={
            name: json.dumps(schema, indent=2)
            for name, schema in described["components"]["schemas"].items()
        },
    )


def _section(tag: dict[str, str]) -> dict[str, Any]:
    operations = [
        _operation(path, method, item[method])
        for path, item in document()["paths"].items()
        for method in _METHODS
        if method in item and tag["name"] in item[method]["tags"]
    ]
    return {"name": tag["name"], "description": tag["description"], "operations": operations}


def _operation(path: str, method: str, described: dict[str, Any]) -> dict[str, Any]:
    return {
        "method": method.upper(),
        "path": path,
        "summary": described["summary"],
        "description": described.get("description", ""),
        "role": described.get("x-role", "everyone"),
        "request": [
            *(
                (each["name"], f"{each['description']} {_constraints(each)}")
                for each in described.get("parameters", ())
            ),
            *(("body", kind) for kind in described.get("requestBody", {}).get("content", ())),
        ],
        "responses": [
            (status, f"{response['description']} {_content_types(status, response)}")
            for status, response in described["responses"].items()
        ],
    }


def _constraints(parameter: dict[str, Any]) -> str:
    """Return where a parameter goes, its allowed values and its default."""
    schema = parameter["schema"]
    text = f"In the {parameter['in']}"
    if "enum" in schema:
        text += f": one of {', '.join(schema['enum'])}"
    elif "maximum" in schema:
        text += f": {schema['minimum']} to {schema['maximum']}"
    if "default" in schema:
        return f"{text}; default {schema['default']}."
    return f"{text}." if parameter["required"] else f"{text}; optional."


def _content_types(status: str, response: dict[str, Any]) -> str:
    # All errors have the same body, which the description at the top of the page gives.
    if status >= "400":
        return ""
    return ", ".join(_content_type(*item) for item in response.get("content", {}).items())


def _content_type(name: str, body: dict[str, Any]) -> str:
    schema = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
    return f"`{name}` ({schema})" if schema else f"`{name}`"


def _inline_code(text: str) -> Markup:
    """Escape a text, and mark the parts between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )
