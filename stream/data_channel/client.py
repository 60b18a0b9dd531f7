"""One client of a stream: what it is told of it, and what it may ask, over its data channel."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import RTCDataChannel

from inference.engine import EngineState
from stream.captioned_stream import CaptionedStream
from stream.captioning import CaptionEvent, Explanations, FrameGone, LiveExplanation, StudiedFrames
from stream.context import Surroundings
from stream.counters import FrameRates
from stream.data_channel import messages
from stream.data_channel.channel import CaptionChannel
from stream.data_channel.requests import AskedAnalyses, AskedExplanations

_MOST_TOLD = 16
"""Captions that may still be explained to the client by themselves."""


class Client:
    """Speaks with one client, from the opening of its channel on; nobody need ever open one.

    The owner of a stream sets how it is captioned. Whoever watches another's sets only what it is
    sent itself.
    """

    def __init__(
        self,
        name: str,
        stream: CaptionedStream,
        shared: Surroundings,
        *,
        owns: bool,
        may_analyse: bool,
        returned: Callable[[], int],
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[object]],
    ) -> None:
        """Prepare to speak.

        Args:
            name: The session's id.
            stream: What it is told of.
            shared: The server.
            owns: Whether the stream is its own.
            may_analyse: Whether it may ask for analyses.
            returned: Counts the pictures that were sent to it.
            spawn: Runs what the session ends with itself.
        """
        self._name, self._stream, self._shared, self._owns = name, stream, shared, owns
        self._may_analyse, self._returned, self._spawn = may_analyse, returned, spawn
        self.frames = StudiedFrames(stream.frames)
        self._asked = AskedExplanations(
            shared.captions, self.frames, shared.settings.explanation_s, spawn
        )
        self._analyses = AskedAnalyses(shared.analyses, self.frames, stream.pictures, spawn)
        self._wants: Explanations = stream.maps.explanations
        self._channel: CaptionChannel | None = None
        self._sent = self._unsent = 0
        self._told: deque[int] = deque(maxlen=_MOST_TOLD)
        self._rates = FrameRates()
        self._unlisten = [
            stream.captions.listen(self._on_caption),
            stream.explanations.listen(self._on_explanation),
            stream.signals.listen(lambda _: self._send_stats()),
            shared.captions.subscribe(self._on_captioner_state),
        ]

    def open(self, channel: RTCDataChannel) -> bool:
        """Speak over this channel, unless there is one already; say whether it is used."""
        if self._channel:
            return False
        self._channel = CaptionChannel(channel, self._shared.settings, self._on_message)
        self._greet()
        return True

    def error(self, code: str, message: str) -> bool:
        """Tell what went wrong; say whether there is anyone to tell."""
        if self._channel:
            self._channel.error(code, message)
        return self._channel is not None

    def tick(self) -> None:
        """Tell how it goes; to be called every second."""
        self._rates.measure(self._stream.intake.received, self._returned())
        self._send_stats()

    def close(self) -> None:
        """Say nothing more, and let go of what is frozen."""
        for unlisten in self._unlisten:
            unlisten()
        self._unlisten = []
        self.frames.release()

    # What the client says.

    def _on_message(self, message: dict[str, Any]) -> None:
        if not self._unlisten:
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
                self._ask(message, self._channel)
            case "cancel":
                self._asked.cancel(message["id"], self._channel)
                self._analyses.cancel(message["id"])

    def _configure(self, wanted: dict[str, Any], channel: CaptionChannel) -> None:
        if "explanations" in wanted:
            self._wants = wanted["explanations"]
        if self._owns:
            self._configure_stream(wanted)
        elif wanted.keys() - {"type", "explanations"}:
            told = "this feed is not yours to set: only explanations can be chosen while watching"
            channel.error("not-allowed", told)
        self._send_stats()

    def _configure_stream(self, wanted: dict[str, Any]) -> None:
        stream = self._stream
        if "interval_s" in wanted:
            stream.sampler.interval_s = float(wanted["interval_s"])
        if "beam_width" in wanted:
            stream.sampler.beam_width = wanted["beam_width"]
        if "overlay" in wanted:
            stream.maps.overlay = wanted["overlay"]
        if "explanations" in wanted:
            stream.maps.explanations = wanted["explanations"]

    def _ask(self, message: dict[str, Any], channel: CaptionChannel) -> None:
        asked = message["id"]
        if asked in self._asked or asked in self._analyses:
            told = "id: is that of a request that is not answered yet"
            channel.error("bad-message", told, asked)
        elif message["type"] != "analyze":
            self._asked.ask(message, channel)
        elif self._may_analyse:
            self._analyses.ask(message, channel)
        else:
            told = "analyses take the captioner long: only an admin may ask for one"
            channel.error("not-allowed", told, asked)

    def _freeze(self, seq: int, channel: CaptionChannel) -> None:
        try:
            self.frames.freeze(seq)
        except FrameGone as problem:
            channel.error("gone", str(problem))
        else:
            self._spawn(channel.answer(messages.frozen(self._name, seq)))

    # What the client is told.

    def _tell(self, message: dict[str, Any]) -> bool:
        return self._channel is not None and self._channel.send(message)

    def _on_caption(self, event: CaptionEvent) -> None:
        if self._tell(messages.caption(event, maps=self._wants != "none")):
            self._sent += 1
            self._told.append(event.seq)
        else:
            self._unsent += 1
            self._shared.counts.untold += 1

    def _on_explanation(self, live: LiveExplanation) -> None:
        # Of a caption that it never got it is told no saliency.
        if self._wants == "all" and live.seq in self._told:
            self._tell(
                messages.explanation(None, live.seq, live.method, live.target, live.explained)
            )

    def _on_captioner_state(self) -> None:
        if self._shared.captions.state is EngineState.READY:
            self._greet()
        else:
            self._send_stats()

    def _greet(self) -> None:
        if self._channel:
            self._channel.send(
                messages.hello(
                    self._name,
                    self._shared.captions.info,
                    self._state_of_settings(),
                    messages.bounds(self._shared.settings),
                    self._state_of_captioner(),
                    self._watching(),
                )
            )
            self._send_stats()

    def _send_stats(self) -> None:
        stream, every = self._stream, self._stream.maps.every
        self._tell(
            {
                "type": "stats",
                "captioner": self._state_of_captioner(),
                "settings": self._state_of_settings(),
                "frames": {
                    "received": stream.intake.received,
                    "returned": self._returned(),
                    "replaced": stream.intake.to_return.replaced,
                    "fps_in": round(self._rates.received, 1),
                    "fps_out": round(self._rates.returned, 1),
                },
                "captions": {"sent": self._sent, "replaced": self._unsent},
                "explanations": {
                    "gradcam_every": every.gradcam,
                    "saliency_every": every.saliency,
                },
                "pictures": len(stream.pictures),
                "signal": stream.signal.to_json(),
                "viewers": stream.viewers,
                "load": self._shared.load.to_json(),
            }
        )

    def _watching(self) -> dict[str, Any] | None:
        if self._owns:
            return None
        return {"feed": self._stream.name, "title": self._stream.title}

    def _state_of_captioner(self) -> dict[str, Any]:
        captions = self._shared.captions
        return {"state": captions.state.value, "message": captions.message}

    def _state_of_settings(self) -> dict[str, Any]:
        stream, info = self._stream, self._shared.captions.info
        width = stream.sampler.beam_width or (info.beam_width if info else messages.BEAM_WIDTH)
        return {
            "interval_s": stream.sampler.interval_s,
            "beam_width": width,
            "overlay": stream.maps.overlay,
            "explanations": self._wants,
        }
