"""`GET /metrics`: what the server does and leaves undone, as Prometheus reads it.

Whether the server lives, and whether it captions.
"""

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from inference.engine import EngineState
from stream.captioned_stream import SignalState
from stream.counters import Histogram
from web.errors import error
from web.keys import (
    CAPTIONS,
    CONNECTIONS,
    ENGINE,
    HISTORY,
    MQTT,
    PUBLICATIONS,
    SESSIONS,
    SURROUNDINGS,
    WEBHOOK,
)
from web.requests import REGISTRY
from web.routes.subscribers import READERS
from web.security import LIMITS, public


def install(app: web.Application) -> None:
    """Measure an application whose requests are counted already."""
    ProcessCollector(registry=app[REGISTRY])
    app[REGISTRY].register(_ServerCollector(app))


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the metrics and of the health checks."""
    return [
        web.get("/metrics", _metrics),
        web.get("/healthz", _alive),
        web.get("/readyz", _ready),
    ]


async def _metrics(request: web.Request) -> web.Response:
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = encode(request.app[REGISTRY])
    return web.Response(body=body, headers={"Content-Type": content_type})


class _ServerCollector(Collector):
    """Reads the application when it is asked; it keeps nothing itself."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    def describe(self) -> list[Metric]:
        """Leave out what is told only when the application has begun."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._sessions()
        yield from self._frames()
        yield from self._captions()
        yield from self._load()
        yield from self._http()
        yield from self._outlets()

    def _sessions(self) -> Iterator[Metric]:
        sessions, shared = self._app[SESSIONS], self._app[SURROUNDINGS]
        watching = sessions.viewers
        kinds = {"own": len(sessions) - watching, "watching": watching}
        yield _gauges("sessions", "Live sessions: of one's own, or watching.", "kind", kinds)
        yield _gauge("streams", "Streams that are captioned.", shared.counts.streams)
        running = shared.analyses.running
        yield _gauge("analyses", "Long analyses that are under way.", running)
        streams = self._app[PUBLICATIONS].all()
        live = {each.name: float(each.signal.state is SignalState.LIVE) for each in streams}
        told = "Whether pictures come, of what can be watched."
        yield _gauges("feed_signal", told, "feed", live)
        viewers = {each.name: each.viewers for each in streams}
        yield _gauges("feed_viewers", "Sessions that watch.", "feed", viewers)

    def _frames(self) -> Iterator[Metric]:
        totals = self._app[SURROUNDINGS].counts.totals
        yield _counter("frames_received", "Pictures that came in.", totals.received)
        yield _counter("frames_drawn", "Pictures that the caption was drawn into.", totals.drawn)
        yield _counter("frames_encoded", "Pictures encoded for viewers.", totals.encoded)
        dropped = {
            "draw": totals.not_drawn,
            "caption": totals.not_captioned,
            "encode": totals.not_encoded,
            "deliver": totals.not_delivered,
        }
        told = "Pictures that got no further than to a stage: newer ones came, or it failed."
        yield _counters("frames_dropped", told, "stage", dropped)

    def _captions(self) -> Iterator[Metric]:
        counts = self._app[SURROUNDINGS].counts
        yield _counter("captions", "Captions that were told.", counts.totals.captions)
        told = "Age of the picture when its caption was told."
        yield _histogram("caption_age_seconds", told, counts.caption_ages_s)
        told = "Time that pictures waited for the captioner."
        yield _histogram("engine_wait_seconds", told, counts.engine_waits_s)
        ready = self._app[CAPTIONS].state is EngineState.READY
        yield _gauge("engine_ready", "Whether captions can be had.", ready)
        if engine := self._app.get(ENGINE):
            told = "Times that the engine's process had to be started again."
            yield _counter("engine_restarts", told, max(0, engine.starts - 1))
            yield _gauge("engine_jobs", "Explanations and analyses under way.", engine.jobs)
            told = "Whether a second process is loaded, to take over at once."
            yield _gauge("engine_standby", told, engine.has_standby)

    def _load(self) -> Iterator[Metric]:
        load = self._app[SURROUNDINGS].load
        told = "What is left out: 1 saliency, 2 Grad-CAM, 3 every second caption, 4 new sessions."
        yield _gauge("load_step", told, load.step)
        told = "Age of three quarters of the captions, as a share of what it may be."
        yield _gauge("load_lateness_ratio", told, load.pressure.lateness)
        told = "How late the event loop gets to what is due."
        yield _gauge("event_loop_lag_seconds", told, load.pressure.lag_s)

    def _http(self) -> Iterator[Metric]:
        limits = self._app[LIMITS]
        told = "HTTP requests that a limit refused."
        yield _counter("http_requests_refused", told, limits.refused)
        if (connections := self._app.get(CONNECTIONS)) is not None:
            yield _gauge("http_connections", "Open HTTP connections.", len(connections))
            told = "HTTP connections that a limit refused."
            yield _counter("http_connections_refused", told, connections.refused)

    def _outlets(self) -> Iterator[Metric]:
        readers = self._app[READERS]
        yield _gauge("readers", "Programs that follow captions over HTTP.", len(readers))
        untold = self._app[SURROUNDINGS].counts.untold
        lost = {"channel": untold, "reader": readers.lost}
        if history := self._app.get(HISTORY):
            lost["history"] = history.dropped + history.lost
        if webhook := self._app.get(WEBHOOK):
            lost["webhook"] = webhook.dropped + webhook.failed
        if mqtt := self._app.get(MQTT):
            lost["mqtt"] = mqtt.failed
        told = "Captions that somebody or something did not get: too slow, or not to be reached."
        yield _counters("captions_lost", told, "outlet", lost)


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sightline_{name}", told, value=float(value))


def _gauges(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"sightline_{name}", told, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _counter(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(f"sightline_{name}", told, value=float(value))


def _counters(name: str, told: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"sightline_{name}", told, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _histogram(name: str, told: str, values: Histogram) -> Metric:
    buckets = [
        ("+Inf" if bound == float("inf") else str(float(bound)), count)
        for bound, count in values.cumulative()
    ]
    return HistogramMetricFamily(f"sightline_{name}", told, buckets, values.total)


@public
async def _alive(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "sessions": len(request.app[SESSIONS])})


@public
async def _ready(request: web.Request) -> web.Response:
    captions = request.app[CAPTIONS]
    if captions.state is not EngineState.READY:
        return error(503, "not-ready", captions.message, {"Retry-After": "2"})
    return web.json_response({"status": "ready"})
