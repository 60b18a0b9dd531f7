"""Operations of the OpenAI API: captions of images for programs that use that API."""

from web.openapi.operation import (
    COUNT,
    TEXT,
    Json,
    json_response,
    object_schema,
    operation,
    path_parameter,
    ref,
)

_TAG = "OpenAI API"
_ERRORS = ref("OpenAIError")
_NULL = {"type": "null"}

_ABOUT = (
    "Captions the image of the newest turn: of the messages after the last one of the assistant. "
    "There must be one, in a part of the type `image_url`, as a `data:` URL in base64 (JPEG, PNG, "
    "WebP, AVIF, HEIC, GIF, ...); no address is fetched. Text is accepted and ignored. A word is "
    "a token, with the space before it. The content is what is likely to be right: of a caption "
    "of low confidence only the likely beginning or the tags, or `Not sure.`; `sightline.guess` "
    "is then the whole caption. Without words it is `No caption for this frame.` `logprobs` is "
    "null if the captioner gives no probabilities. `temperature`, `seed` and the like have no "
    "effect. `tools`, `functions`, `logit_bias`, `audio`, web search, other response formats than "
    "text and `n` above 1 are rejected."
)


def completion_paths() -> dict[str, Json]:
    """Return the operations by path."""
    name = path_parameter("model", "The captioner's name, or `sightline`.", "^.+$")
    models = object_schema(
        {"object": {"const": "list"}, "data": {"type": "array", "items": ref("Model")}}
    )
    return {
        "/v1/models": {
            "get": operation(
                _TAG,
                "List models",
                {"200": json_response("The captioner.", models)},
                role="captions",
                error_schema=_ERRORS,
            )
        },
        "/v1/models/{model}": {
            "get": operation(
                _TAG,
                "Get a model",
                {"200": json_response("The captioner.", ref("Model"))},
                parameters=[name],
                errors=["404"],
                role="captions",
                error_schema=_ERRORS,
            )
        },
        "/v1/chat/completions": {
            "post": operation(
                _TAG,
                "Caption an image",
                {"200": _completion()},
                description=_ABOUT,
                body={"application/json": {"schema": ref("CompletionRequest")}},
                errors=["400", "404"],
                role="captions",
                error_schema=_ERRORS,
            )
        },
    }


def completion_schemas() -> dict[str, Json]:
    """Return the schemas of the responses by name."""
    error = {"message": TEXT, "type": TEXT, "param": _or_null(TEXT), "code": TEXT}
    model = {"id": TEXT, "object": {"const": "model"}, "created": COUNT, "owned_by": TEXT}
    logprob = {
        "token": TEXT,
        "logprob": {"type": "number", "maximum": 0},
        "bytes": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 255}},
    }
    top = {"type": "array", "items": object_schema(logprob)}
    logprobs = object_schema(
        {
            "content": {
                "type": "array",
                "items": object_schema({**logprob, "top_logprobs": top}),
            },
            "refusal": _NULL,
        }
    )
    message = object_schema({"role": {"const": "assistant"}, "content": TEXT, "refusal": _NULL})
    choice = {
        "index": {"const": 0},
        "message": message,
        "logprobs": _or_null(logprobs),
        "finish_reason": {"enum": ["stop", "length"]},
    }
    usage = {
        "prompt_tokens": {"const": 0, "description": "No text of the request is read."},
        "completion_tokens": {**COUNT, "description": "Words."},
        "total_tokens": COUNT,
    }
    tag = object_schema({"text": TEXT, "prob": ref("probability")})
    word_confidence = {
        **_or_null(ref("probability")),
        "description": "Probability that people who describe the image say the word, or a synonym. "
        "Null for words such as `a` and `on`, and if the captioner is not calibrated.",
    }
    word = object_schema({"text": TEXT, "confidence": word_confidence})
    sightline = {
        "confidence": {
            **_or_null(ref("probability")),
            "description": "Null if the captioner is not calibrated.",
        },
        "fallback": {"enum": [None, "shorter", "words", "tags", "blank"]},
        "guess": TEXT,
        "runner_up": TEXT,
        "instead_of": TEXT,
        "words": {"type": "array", "items": word},
        "tags": {"type": "array", "items": tag},
    }
    return {
        "OpenAIError": object_schema({"error": object_schema(error)}),
        "Model": object_schema(model),
        "Completion": object_schema(
            {
                "id": TEXT,
                "object": {"const": "chat.completion"},
                "created": COUNT,
                "model": TEXT,
                "choices": {"type": "array", "items": object_schema(choice)},
                "usage": object_schema(usage),
                "sightline": object_schema(sightline, "What a caption has beyond the format."),
            }
        ),
    }


def _completion() -> Json:
    response = json_response("The caption.", ref("Completion"))
    response["description"] = (
        "The caption; with `stream` as server-sent events: a chunk for each word, and `[DONE]`."
    )
    response["content"]["text/event-stream"] = {"schema": TEXT}
    return response


def _or_null(schema: Json) -> Json:
    return {"oneOf": [_NULL, schema]}
