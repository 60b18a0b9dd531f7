"""The captioner as clients see it: what it is, where it comes from and what it can do."""

from pathlib import Path
from typing import Any

from inference.engine import EngineInfo
from models.catalogue import CaptionerReference


def model_json(info: EngineInfo) -> dict[str, Any]:
    """Return `model` of `schema.json`."""
    return {
        "name": info.name,
        "source": source_json(CaptionerReference.parse(info.captioner), info.revision),
        "licence": info.licence,
        "encoder": info.encoder,
        "image_size": info.resizing.side,
        "vocabulary_size": info.vocabulary_size,
        "dev": info.figures,
        "calibrated": info.calibrated,
        "consensus": info.consensus,
        "tags": info.tags,
        "hardened": info.hardened,
        "concepts": info.concepts,
        "live_method": info.live_method,
        "methods": [method.to_json() for method in info.methods],
        "verified": list(info.verified),
        "analyses": list(info.analyses),
    }


def source_json(reference: CaptionerReference, revision: str | None) -> dict[str, Any]:
    """Return `source` of `schema.json`. Viewers get it too, so it has no path and no address."""
    name = Path(reference.value).name if reference.kind == "folder" else reference.value
    return {"kind": reference.kind, "name": name, "revision": revision}
