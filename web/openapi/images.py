"""Operations of images: captions and explanations of images that programs send."""

from web.images import MAX_IMAGES, ResultFormat
from web.openapi.operation import (
    Json,
    bytes_response,
    object_schema,
    operation,
    query_parameter,
    ref,
)

_TAG = "Images"
_TEXT = {"type": "string", "minLength": 1, "maxLength": 60}
_BODY: Json = {
    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "properties": {
                "image": {
                    "type": "array",
                    "items": {"type": "string", "format": "binary"},
                    "minItems": 1,
                    "maxItems": MAX_IMAGES,
                }
            },
            "required": ["image"],
            "additionalProperties": False,
        }
    },
}
_FORMAT = query_parameter(
    "format",
    "The format of the result; without it, `Accept` decides.",
    {"enum": [each.name.lower() for each in ResultFormat]},
)
_MAPS = query_parameter(
    "maps",
    "Whether the caption comes with word maps. PNG and NPZ always have them.",
    {"enum": ["true", "false"], "default": "false"},
)
_ABOUT = (
    f"The body is an image file of any content type (JPEG, PNG, WebP, AVIF, HEIC, GIF, ...); or up "
    f"to {MAX_IMAGES} of them in `multipart/form-data`, as parts named `image`. Then the result is "
    "a list in their order, with an error in place of an image that failed; if all failed, the "
    "error of the first one. "
)
_CAPTION_FORMATS = (
    "A PNG is a sheet of all word maps of one image. An NPZ contains `words`, `maps` (one for each "
    "word), `caption_map`, and the rest of the result as text in `json`; of several images, "
    "`0/words` and so on."
)
_EXPLAIN_FORMATS = (
    "Without `word`, `index` or `tag` the whole caption is explained; without `method`, by the "
    "captioner's first method that can (`/api/captioner` lists them). A PNG is the image with the "
    "map over it. An NPZ contains `map`, and the rest of the result as text in `json`; of several "
    "images, `0/map` and so on."
)


def image_paths() -> dict[str, Json]:
    """Return the operations by path."""
    target = [
        query_parameter("word", "A word of the caption; its first occurrence.", _TEXT),
        query_parameter(
            "index",
            "The index of a word, from 0.",
            {"type": "integer", "minimum": 0, "maximum": 99},
        ),
        query_parameter("instead_of", "Why the word rather than this one.", _TEXT),
        query_parameter("tag", "An object that the captioner knows.", _TEXT),
        query_parameter("method", "The name of a method.", _TEXT),
    ]
    return {
        "/api/caption": {
            "post": operation(
                _TAG,
                "Caption an image",
                {"200": _result("ImageCaption")},
                description=_ABOUT + _CAPTION_FORMATS,
                parameters=[_MAPS, _FORMAT],
                body=_BODY,
                errors=["400", "406"],
                role="captions",
            )
        },
        "/api/explain": {
            "post": operation(
                _TAG,
                "Explain an image's caption",
                {"200": _result("ImageExplanation")},
                description=_ABOUT + _EXPLAIN_FORMATS,
                parameters=[*target, _FORMAT],
                body=_BODY,
                errors=["400", "406"],
                role="captions",
            )
        },
    }


def image_schemas(caption: Json) -> dict[str, Json]:
    """Return the schemas of the responses by name, given the properties of a feed's caption."""
    size = {"type": "integer", "minimum": 1}
    shared = ("said", "text", "confidence", "words", "tags", "fallback", "guess", "runner_up")
    parts = dict.fromkeys(("encoder", "decoder", "maps", "endpoint", "total"), ref("milliseconds"))
    body: Json = {
        **{name: caption[name] for name in (*shared, "instead_of")},
        "captioner": {"type": "string", "description": "Its name."},
        "image": {
            **object_schema({"width": size, "height": size}),
            "description": "The size of the image, in pixels.",
        },
        "timing_ms": object_schema(parts, "How long each part took."),
    }
    explanation = object_schema(
        {
            "method": ref("method"),
            "unit": {"type": "string", "description": "Unit of the map's values."},
            "of": ref("target"),
            "map": ref("map"),
            "took_ms": ref("milliseconds"),
        }
    )
    replica: Json = {"replica": caption["replica"]}
    return {
        name: _with_optional(object_schema({**body, **rest}), replica)
        for name, rest in (
            ("ImageCaption", {"maps": caption["maps"]}),
            ("ImageExplanation", {"explanation": explanation}),
        )
    }


def _with_optional(schema: Json, properties: Json) -> Json:
    return {**schema, "properties": {**schema["properties"], **properties}}


def _result(name: str) -> Json:
    one = ref(name)
    each = {"oneOf": [one, ref("Error")]}
    batch = object_schema({"results": {"type": "array", "items": each}})
    response = bytes_response("The result.", *(kind.value for kind in ResultFormat))
    response["content"][ResultFormat.JSON.value] = {"schema": {"oneOf": [one, batch]}}
    return response
