"""Tools for image files of the user."""

import asyncio
from typing import Annotated

from mcp.types import CallToolResult, TextContent
from pydantic import Field

from inference.explanations import Map
from web.mcp.client import SightlineClient
from web.mcp.folders import AllowedFolders
from web.mcp.image_results import ImageCaption, ImageExplanation
from web.mcp.pictures import draw_picture
from web.mcp.reporting import reporting_errors

FilePath = Annotated[str, Field(description="Path of the image file.", max_length=4096)]
Text = Annotated[str | None, Field(min_length=1, max_length=60)]


class ImageTools:
    """Tools for image files of the user."""

    def __init__(self, client: SightlineClient, folders: AllowedFolders) -> None:
        self._client, self._folders = client, folders

    @reporting_errors
    async def caption_image(self, path: FilePath) -> ImageCaption:
        """Caption an image file in one of the folders that the user allowed."""
        image = await asyncio.to_thread(self._folders.read, path)
        return ImageCaption.of(await self._client.post_image("api", "caption", image=image))

    @reporting_errors
    async def explain_image(
        self,
        path: FilePath,
        word: Annotated[
            Text, Field(description="A word of its caption; the whole caption if null.")
        ] = None,
        instead_of: Annotated[
            Text, Field(description="Another word: why the word and not this one.")
        ] = None,
        method: Annotated[
            Text, Field(description="Name of an explanation method; a good one if null.")
        ] = None,
    ) -> Annotated[CallToolResult, ImageExplanation]:
        """Show where in an image file a word of its caption comes from, as a heat map over it."""
        image = await asyncio.to_thread(self._folders.read, path)
        values = await self._client.post_image(
            *("api", "explain"), image=image, word=word, instead_of=instead_of, method=method
        )
        explanation = ImageExplanation.of(values)
        heat = Map.from_json(values["explanation"]["map"])
        painted = await asyncio.to_thread(lambda: draw_picture(image, heat))
        text = TextContent(type="text", text=explanation.model_dump_json())
        return CallToolResult(
            content=[text, painted.to_image_content()],
            structured_content=explanation.model_dump(mode="json"),
        )
