"""The routes of the HTTP API: one module per resource, and helpers that several of them share."""

from aiohttp import web

from web.routes import (
    analyses,
    api,
    captioner,
    captions,
    completions,
    feeds,
    history,
    images,
    login,
    metrics,
    rules,
    webrtc,
)
from web.routes.metrics import install_metrics

__all__ = ["api_routes", "install_metrics"]


def api_routes() -> list[web.AbstractRouteDef]:
    """Return all routes of the package."""
    modules = (
        login,
        webrtc,
        captioner,
        analyses,
        feeds,
        captions,
        completions,
        images,
        history,
        rules,
        metrics,
        api,
    )
    return [route for module in modules for route in module.routes()]
