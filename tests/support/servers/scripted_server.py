"""The server with a constant caption and its maps instead of a model.

`python -m tests.support.servers.scripted_server --port N --config FILE [--host ADDRESS]`.
"""

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.explanations.map import CaptionMaps, Map
from tests.support.captions import ScriptedCaptions, confident_caption
from web.service.log import log_to_stderr
from web.service.serving import serve
from web.settings.server import read_settings


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    settings = read_settings(options.config, {"host": options.host, "port": options.port})
    log_to_stderr(settings.log)
    caption = confident_caption("A dog runs across the grass")
    # Each word has a cell of its own, on the diagonal.
    cells = np.eye(9, dtype=np.float32)
    maps = tuple(Map(np.diag(cells[at])) for at in range(len(caption.words)))
    with_maps = replace(caption, maps=CaptionMaps("gradcam", maps, Map(cells)))
    asyncio.run(serve(settings, lambda: settings, ScriptedCaptions(with_maps)))


if __name__ == "__main__":
    main()
