"""What bounds a live session; every number can be set."""

from pydantic import BaseModel, ConfigDict, Field


class StreamSettings(BaseModel):
    """Settings of live sessions, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: int = Field(8, ge=1, le=1000)
    """Live sessions at once; more are refused with 503 and Retry-After."""
    viewers: int = Field(32, ge=1, le=1000)
    """Viewers of feeds and of published sessions at once, of all together; more are refused."""
    interval_s: float = Field(1.0, ge=0.25, le=10)
    """Seconds between captions; a client may choose another in 0.25..10."""
    beam_width: int | None = Field(None, ge=1, le=5)
    """Beam width of the search; the captioner's own by default."""
    sdp_bytes: int = Field(65_536, ge=1024)
    """Largest SDP of an offer."""
    message_bytes: int = Field(4096, ge=256)
    """Largest message that a client may send on the data channel."""
    messages_per_s: float = Field(10, gt=0)
    """Messages that a client may send on the data channel, on average."""
    connect_s: float = Field(15, gt=0)
    """How long a session may take to connect."""
    vanished_s: float = Field(8, ge=2)
    """A connected peer of which nothing at all is heard for so long is gone."""
    idle_s: float = Field(60, gt=0)
    """A session without a new picture for so long is ended."""
    session_s: float = Field(12 * 3600, gt=0)
    """A session is ended after so long."""
    explanation_share: float = Field(0.25, ge=0, le=1)
    """Of the captioner's time, what the maps that come with one session's captions may take."""
    explanation_s: float = Field(60, gt=0)
    """How long an explanation that a client asked for may take."""
    analyses: int = Field(2, ge=1, le=8)
    """Long analyses at once, of all clients together; more are refused."""
    analysis_s: float = Field(180, gt=0)
    """How long an analysis may take."""
    analysis_kept_s: float = Field(900, gt=0)
    """How long what it found is kept."""
