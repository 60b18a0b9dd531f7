"""How many programs may follow captions over HTTP."""

from pydantic import BaseModel, ConfigDict, Field


class DoorsSettings(BaseModel):
    """Settings of the doors through which programs follow captions, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    readers: int = Field(100, ge=1, le=10_000)
    """Programs that follow captions at once; more are refused with 503 and Retry-After."""
    heartbeat_s: float = Field(15, ge=0.1, le=300)
    """A reader who is told nothing for so long is told that the server is still there."""
    unread_s: float = Field(30, ge=0.1, le=3600)
    """A reader who takes nothing for so long is let go."""
