"""A client of a stream: sends it captions, maps and statistics, and handles its messages."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from aiortc import RTCDataChannel

from inference.engine import EngineInfo, EngineState
from stream.captioned_stream import CaptionedStream
from stream.captioning import (
    CaptionEvent,
    ClientFrames,
    ExplanationMode,
    FrameNotFound,
    LiveExplanation,
)
from stream.context import StreamContext
from stream.counters import FrameRates
from stream.data_channel import messages
from stream.data_channel.channel import CaptionChannel
from stream.data_channel.requests import AnalysisRequests, ExplanationRequests
from stream.quota import Owner
from stream.video import AnnotatedTrack

_MAX_SENT_SEQS = 16
"""Latest captions sent, to which a saliency map may still follow."""


class Client:
    """One client of a stream; it may or may not open a data channel.

    The owner of a stream can change how it is captioned. A viewer of a feed or of another session
    can change only what is sent to itself.
    """

    def __init__(
        self,
        session_id: str,
        stream: CaptionedStream,
        context: StreamContext,
        *,
        track: AnnotatedTrack,
        owns: bool,
        shared: bool,
        owner: Owner,
        may_analyse: bool,
        returned: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[object]],
    ) -> None:
        """Subscribe to a stream.

        Args:
            session_id: Id of the client's session.
            stream: The stream.
            context: Context that all streams of the server share.
            track: The video that the client receives, shared with others or not.
            owns: Whether the client owns the stream.
            shared: Whether others may watch the stream's video too.
            owner: Whose requests these are, for the quota of explanations.
            may_analyse: Whether the client may start analyses.
            returned: Returns the number of frames that were sent to the client.
            spawn: Runs a coroutine that is cancelled when the session ends.
        """
        self._session_id, self._stream, self._context = session_id, stream, context
        self._track, self._owner = track, owner
        self._owns, self._shared, self._may_analyse = owns, shared, may_analyse
        self._returned, self._spawn = returned, spawn
        self.frames = ClientFrames(stream.frames)
        """Frames that the client can request."""
        self._explanation_requests = ExplanationRequests(context, self.frames, owner, spawn)
        self._analysis_requests = AnalysisRequests(
            context.analyses, self.frames, stream.recent_frames, spawn
        )
        self._explanations: ExplanationMode = stream.maps.explanations
        self._channel: CaptionChannel | None = None
        self._sent = self._unsent = 0
        self._sent_seqs: deque[int] = deque(maxlen=_MAX_SENT_SEQS)
        self._rates = FrameRates()
        self._subscriptions = [
            stream.captions.subscribe(self._on_caption),
            stream.live_explanations.subscribe(self._on_explanation),
            stream.signals.subscribe(lambda _: self._send_stats()),
            track.text_tops.subscribe(lambda _: self._send_text_area()),
            context.caption_service.subscribe(self._on_captioner_state),
        ]

    def open(self, channel: RTCDataChannel) -> bool:
        """Use a channel, unless the client has one already; return whether it is used."""
        if self._channel:
            return False
        self._channel = CaptionChannel(channel, self._context.settings, self._on_message)
        self._send_hello()
        return True

    def send_error(self, code: str, message: str) -> bool:
        """Send an error; return whether the client has a channel."""
        if self._channel:
            self._channel.send_error(code, message)
        return self._channel is not None

    def tick(self) -> None:
        """Measure frame rates and send statistics; call this every second."""
        self._rates.measure(self._stream.ingest.received, self._returned())
        self._send_stats()

    def close(self) -> None:
        """Unsubscribe, and release the frozen frame."""
        for unsubscribe in self._subscriptions:
            unsubscribe()
        self._subscriptions = []
        self.frames.release()

    # Messages of the client

    def _on_message(self, message: dict[str, Any]) -> None:
        if not self._subscriptions:
            return
        assert self._channel
        match message["type"]:
            case "ping":
                self._channel.send({"type": "pong", "id": message["id"]})
            case "configure":
                self._configure(message, self._channel)
            case "freeze":
                self._freeze(message["seq"], self._channel)
            case "release":
                self.frames.release()
            case "explain" | "check" | "analyze":
                self._start_request(message, self._channel)
            case "cancel":
                self._explanation_requests.cancel(message["id"], self._channel)
                self._analysis_requests.cancel(message["id"])

    def _configure(self, settings: dict[str, Any], channel: CaptionChannel) -> None:
        if "explanations" in settings:
            self._explanations = settings["explanations"]
        if self._owns:
            self._configure_stream(settings, channel)
        elif settings.keys() - {"type", "explanations"}:
            channel.send_error(
                "not-allowed",
                "viewers cannot change the settings of this stream, only which maps they receive",
            )
        self._send_stats()

    def _configure_stream(self, settings: dict[str, Any], channel: CaptionChannel) -> None:
        stream = self._stream
        if lacking := _lacking(self._context.caption_service.info, settings):
            channel.send_error("not-allowed", lacking)
            return
        if self._shared and "returned_video" in settings:
            channel.send_error(
                "not-allowed",
                "returned_video: others watch this stream too; a viewer chooses it in the offer",
            )
            return
        if "interval_s" in settings:
            stream.sampler.interval_s = float(settings["interval_s"])
        if "beam_width" in settings:
            stream.sampler.beam_width = settings["beam_width"]
        if "overlay" in settings:
            stream.maps.overlay = settings["overlay"]
        if "explanations" in settings:
            stream.maps.explanations = settings["explanations"]
        if "returned_video" in settings:
            self._track.mode = settings["returned_video"]

    def _start_request(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        request_id = message["id"]
        if request_id in self._explanation_requests or request_id in self._analysis_requests:
            channel.send_error(
                "bad-message", "id: already in use by a request that is running", request_id
            )
        elif message["type"] != "analyze":
            self._explanation_requests.start(message, channel)
        elif not self._may_analyse:
            channel.send_error("not-allowed", "only an admin can start an analysis", request_id)
        elif (info := self._context.caption_service.info) and message["kind"] not in info.analyses:
            channel.send_error(
                "cannot-analyse", f"this captioner has no analysis {message['kind']}", request_id
            )
        else:
            self._analysis_requests.start(message, channel)

    def _freeze(self, seq: int, channel: CaptionChannel) -> None:
        try:
            self.frames.freeze(seq)
        except FrameNotFound as error:
            channel.send_error("gone", str(error))
        else:
            self._spawn(channel.respond(messages.frozen(self._session_id, seq)))

    # Messages to the client

    def _send(self, message: dict[str, Any]) -> bool:
        return self._channel is not None and self._channel.send(message)

    def _on_caption(self, event: CaptionEvent) -> None:
        if self._send(messages.caption(event, maps=self._explanations != "none")):
            self._sent += 1
            self._sent_seqs.append(event.seq)
        else:
            self._unsent += 1
            self._context.counters.unsent_captions += 1

    def _on_explanation(self, live: LiveExplanation) -> None:
        # A map is of no use to a client that did not receive its caption.
        if self._explanations == "all" and live.seq in self._sent_seqs:
            self._send(messages.explanation(None, live.seq, live.method, live.target, live.result))

    def _send_text_area(self) -> None:
        self._send(messages.text_area(self._track.text_top))

    def _on_captioner_state(self) -> None:
        if self._context.caption_service.state is EngineState.READY:
            self._send_hello()
        else:
            self._send_stats()

    def _send_hello(self) -> None:
        if self._channel:
            self._channel.send(
                messages.hello(
                    self._session_id,
                    self._offered_info(),
                    self._settings_json(),
                    messages.limits(self._context.settings),
                    self._captioner_json(),
                    self._watching_json(),
                )
            )
            self._send_text_area()
            self._send_stats()

    def _offered_info(self) -> EngineInfo | None:
        """Return the captioner's properties, without methods if the client may use none."""
        info = self._context.caption_service.info
        if info and self._context.limits.allows_no_requests(self._owner):
            return replace(info, methods=())
        return info

    def _send_stats(self) -> None:
        stream, intervals = self._stream, self._stream.maps.intervals
        self._send(
            {
                "type": "stats",
                "captioner": self._captioner_json(),
                "settings": self._settings_json(),
                "frames": {
                    "received": stream.ingest.received,
                    "returned": self._returned(),
                    "replaced": self._track.replaced,
                    "fps_in": round(self._rates.received_fps, 1),
                    "fps_out": round(self._rates.returned_fps, 1),
                },
                "captions": {"sent": self._sent, "replaced": self._unsent},
                "explanations": {
                    "words_every": intervals.word_maps,
                    "saliency_every": intervals.saliency,
                },
                "pictures": len(stream.recent_frames),
                "signal": stream.signal.to_json(),
                "viewers": stream.viewers,
                "load": self._context.load.to_json(),
            }
        )

    def _watching_json(self) -> dict[str, Any] | None:
        if self._owns:
            return None
        return {"feed": self._stream.name, "title": self._stream.title}

    def _captioner_json(self) -> dict[str, Any]:
        service = self._context.caption_service
        return {"state": service.state.value, "message": service.message}

    def _settings_json(self) -> dict[str, Any]:
        stream, info = self._stream, self._context.caption_service.info
        beam_width = info.beam_width if info else messages.DEFAULT_BEAM_WIDTH
        return {
            "interval_s": stream.sampler.interval_s,
            "beam_width": beam_width and (stream.sampler.beam_width or beam_width),
            "overlay": stream.maps.overlay,
            "explanations": self._explanations,
            "returned_video": self._track.mode,
        }


def _lacking(info: EngineInfo | None, settings: dict[str, Any]) -> str:
    """Return which of the settings a captioner cannot follow, for people; empty for none."""
    if info is None:
        return ""
    overlay = settings.get("overlay", "none")
    if overlay == "words" and info.live_method is None:
        return "overlay: the captions of this captioner have no word maps; use none"
    if overlay == "saliency" and all(method.name != overlay for method in info.methods):
        return "overlay: this captioner has no saliency maps; use another one"
    if "beam_width" in settings and info.beam_width is None:
        return "beam_width: this captioner has no beam search; leave it out"
    return ""
