"""The images of a request: the body itself, or the parts of a multipart body (RFC 7578)."""

from dataclasses import dataclass

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from web.security import LIMITS, read_image_body, receiving_image_parts

MAX_IMAGES = 16
"""Images in one request."""

_FIELD = "image"
_MULTIPART = "multipart/"
_TEXT = ("application/json", "text/")
"""Content types of what is certainly no image file, as is sent by mistake."""


class UploadError(ValueError):
    """The body has no image; the message is for the client."""

    def __init__(self, message: str, status: int = 400, code: str = "bad-request") -> None:
        """Reject with an HTTP status and the code of the error."""
        super().__init__(message)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Upload:
    """The image files that a request contains."""

    images: list[bytes]
    """At least one."""
    is_batch: bool
    """Whether they are parts of a multipart body: then the result is a list, even of one image."""


async def receive_upload(request: web.Request) -> Upload:
    """Receive the images of a request, within its limits.

    A body of another type than multipart/form-data is an image file, whatever its type: curl, for
    instance, states that of a form.

    Raises:
        UploadError: If there is no image, or more than `MAX_IMAGES`, or something else.
        BodyRejected: As `read_image_body`.
        LimitExceeded: As `read_image_body`.
    """
    kind = request.content_type
    if kind == f"{_MULTIPART}form-data":
        return Upload(await _receive_parts(request), is_batch=True)
    if kind.startswith((*_TEXT, _MULTIPART)):
        raise UploadError(
            f"{kind} is not supported; send an image file as the body, or several as "
            "multipart/form-data. Images in base64 belong in /v1/chat/completions",
            415,
            "bad-type",
        )
    body = await read_image_body(request, request.app[LIMITS].settings.image_bytes)
    if not body:
        raise UploadError("the body is empty; send an image file as the body")
    return Upload([body], is_batch=False)


async def _receive_parts(request: web.Request) -> list[bytes]:
    images: list[bytes] = []
    async with receiving_image_parts(request) as check_size:
        try:
            reader = await request.multipart()
            while part := await reader.next():
                _check_part(part, len(images))
                assert isinstance(part, BodyPartReader)
                data = bytearray()
                while chunk := await part.read_chunk():
                    check_size()
                    data += chunk
                images.append(bytes(data))
        except UploadError:
            raise
        except (ValueError, LookupError, AssertionError, RuntimeError, HttpProcessingError) as bad:
            # What aiohttp raises for a body that breaks RFC 2046.
            raise UploadError("the body is not valid multipart/form-data") from bad
    if not images:
        raise UploadError(f"the body has no image; send it as a part named {_FIELD}")
    return images


def _check_part(part: MultipartReader | BodyPartReader, images: int) -> None:
    if isinstance(part, MultipartReader) or part.name != _FIELD:
        name = "" if isinstance(part, MultipartReader) else part.name
        raise UploadError(
            f"unknown part {(name or '')[:40]!r}; send images as parts named {_FIELD}, and "
            "parameters in the query"
        )
    if images == MAX_IMAGES:
        raise UploadError(f"there are more than {MAX_IMAGES} images; send the others separately")
