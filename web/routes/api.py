"""`/openapi.json`, and `/api`: the same document as an HTML page, which needs no script."""

import json
import re
import shlex
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from web.openapi import document
from web.page import render
from web.security import ACCESS, public_url_of

_METHODS = ("get", "post", "put", "patch", "delete", "options")


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of `/openapi.json` and `/api`."""
    return [web.get("/openapi.json", _openapi_json), web.get("/api", _page)]


async def _openapi_json(request: web.Request) -> web.Response:
    return web.Response(text=_json(), content_type="application/json")


async def _page(request: web.Request) -> web.Response:
    url = public_url_of(request)
    base = f"{url.scheme or 'http'}://{url.host}{url.prefix}"
    header = "Authorization: Bearer TOKEN" if request.app[ACCESS].has_tokens else ""
    return web.Response(text=_html(base, header), content_type="text/html")


@cache
def _json() -> str:
    return json.dumps(document(), indent=1)


@lru_cache(maxsize=4)
def _html(base: str, header: str) -> str:
    """Return the page, with commands for the server at this URL and with this header, if any."""
    described = document()
    return render(
        "api.html.jinja",
        description=described["info"]["description"],
        sections=[_section(tag, base, header) for tag in described["tags"]],
        schemas={
            name: json.dumps(schema, indent=2)
            for name, schema in described["components"]["schemas"].items()
        },
    )


def _section(tag: dict[str, str], base: str, header: str) -> dict[str, Any]:
    operations = [
        {
            **_operation(path, method, item[method]),
            "command": _command(method, base + path, item[method], header),
        }
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


def _command(method: str, url: str, described: dict[str, Any], header: str) -> str:
    """Return a command line that carries out an operation; what to fill in is in capitals."""
    words = ["curl"]
    if method != "get":
        words += ["-X", method.upper()]
    responses = described["responses"].values()
    if any("text/event-stream" in response.get("content", {}) for response in responses):
        words.append("--no-buffer")
    if header and "x-role" in described:
        words += ["-H", shlex.quote(header)]
    for kind in described.get("requestBody", {}).get("content", ()):
        body = "BODY.json" if kind == "application/json" else "BODY"
        words += ["-H", shlex.quote(f"Content-Type: {kind}"), "--data-binary", f"@{body}"]
        break
    required = [
        (each["name"], each["schema"].get("enum", [each["name"].upper()])[0])
        for each in described.get("parameters", ())
        if each["in"] == "query" and each["required"]
    ]
    url = re.sub(r"{(\w+)}", lambda found: found[1].upper(), url)
    words.append(shlex.quote(f"{url}?{urlencode(required)}" if required else url))
    return " ".join(words)


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
