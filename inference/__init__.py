"""Everything computed from an image, and the engine that runs it in a worker process.

`Captioner` is for programs; see `inference.api`.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.api import Captioner, HeatMap, ImageCaption

__all__ = ["Captioner", "HeatMap", "ImageCaption"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use: most importers of a module here need none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inference import api

    return getattr(api, name)
