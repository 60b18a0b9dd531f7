"""Reports of a media process about its published streams, and its viewers at the front."""

from collections.abc import Callable
from contextlib import ExitStack

from stream.captioned_stream import CaptionedStream
from stream.captioning import CaptionEvent
from stream.media.channel import Channel
from stream.publishing import NoSuchStream, Publications, StreamReport


class StreamReporter:
    """Tells the front of each published stream, its changes and its captions."""

    def __init__(self, publications: Publications, channel: Channel) -> None:
        """Report the streams of this process over a channel."""
        self._publications, self._channel = publications, channel
        self._reported: dict[str, StreamReport] = {}
        self._viewers: dict[str, list[ExitStack]] = {}
        """Viewers at the front, by stream."""
        self._counts: dict[str, Callable[[], None]] = {}
        self._unsubscribe = (
            publications.captions.subscribe(self._on_caption),
            publications.changes.subscribe(lambda _: self.update()),
        )

    def update(self) -> None:
        """Report what has changed since the last report."""
        streams = {stream.name: stream for stream in self._publications.all()}
        for name in self._reported.keys() - streams.keys():
            del self._reported[name]
            self._counts.pop(name)()
            # The stream has closed, and counts no viewers any more.
            self._viewers.pop(name, None)
            self._channel.notify("unpublished", stream=name)
        for name, stream in streams.items():
            report = StreamReport.of(stream)
            if name not in self._counts:
                assert isinstance(stream, CaptionedStream)
                self._counts[name] = stream.viewer_counts.subscribe(lambda _: self.update())
            if self._reported.get(name) != report:
                self._reported[name] = report
                self._channel.notify("published", stream=name, report=report.to_json())

    def watch(self, name: str, viewers: int) -> None:
        """Count this number of viewers at the front as viewers of a stream."""
        try:
            stream = self._publications.find(name)
        except NoSuchStream:
            return
        counted = self._viewers.setdefault(name, [])
        while len(counted) < viewers:
            viewer = ExitStack()
            viewer.enter_context(stream.viewing())
            counted.append(viewer)
        while len(counted) > viewers:
            counted.pop().close()

    def close(self) -> None:
        """Report nothing any more."""
        for unsubscribe in (*self._unsubscribe, *self._counts.values()):
            unsubscribe()

    def _on_caption(self, event: CaptionEvent) -> None:
        self._channel.notify("caption", spare=True, event=event.to_json())
