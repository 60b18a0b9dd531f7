"""`/metrics` for Prometheus, and the health checks `/healthz` and `/readyz`."""

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
from inference.histogram import Histogram
from stream.captioned_stream import SignalState
from web.errors import error_response
from web.keys import (
    APPRISE,
    CAPTIONS,
    CLUSTER,
    CONNECTIONS,
    ENDPOINT,
    ENGINE,
    HISTORY,
    IMAGE_CAPTIONS,
    MEDIA,
    METRICS_REGISTRY,
    MQTT,
    POOL,
    PUBLICATIONS,
    RULE_WATCHER,
    WEBHOOK,
)
from web.routes.subscribers import SUBSCRIBERS
from web.security import LIMITS, public


def install_metrics(app: web.Application) -> None:
    """Add the application's state to its metrics registry, next to its request metrics."""
    ProcessCollector(registry=app[METRICS_REGISTRY])
    app[METRICS_REGISTRY].register(_ApplicationCollector(app))


def routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the metrics and of the health checks."""
    return [
        web.get("/metrics", _metrics),
        web.get("/healthz", _healthz),
        web.get("/readyz", _readyz),
    ]


async def _metrics(request: web.Request) -> web.Response:
    await request.app[MEDIA].refresh()
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = encode(request.app[METRICS_REGISTRY])
    return web.Response(body=body, headers={"Content-Type": content_type})


@public
async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok", "sessions": len(request.app[MEDIA].sessions)})


@public
async def _readyz(request: web.Request) -> web.Response:
    captions = request.app[CAPTIONS]
    if captions.state is not EngineState.READY:
        return error_response(503, "not-ready", captions.message, {"Retry-After": "2"})
    return web.json_response({"status": "ready"})


class _ApplicationCollector(Collector):
    """Reads the application's counters at each scrape."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    def describe(self) -> list[Metric]:
        """Return nothing, so that registration does not collect before the application starts."""
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._sessions()
        yield from self._frames()
        yield from self._captions()
        yield from self._load()
        yield from self._processes()
        yield from self._http()
        yield from self._delivery()
        yield from self._rules()
        yield from self._cluster()

    def _sessions(self) -> Iterator[Metric]:
        sessions, report = self._app[MEDIA].sessions, self._app[MEDIA].report
        watching = sessions.viewers
        kinds = {"own": len(sessions) - watching, "watching": watching}
        yield _gauges(
            "sessions", "Live sessions: with a source of their own, or watching.", "kind", kinds
        )
        yield _gauge("streams", "Streams being captioned.", report.live_streams)
        yield _gauge("analyses", "Long analyses in progress.", report.analyses)
        streams = self._app[PUBLICATIONS].all()
        live = {each.name: float(each.signal.state is SignalState.LIVE) for each in streams}
        yield _gauges(
            "feed_signal", "Whether frames arrive from a feed or published session.", "feed", live
        )
        viewers = {each.name: each.viewers for each in streams}
        yield _gauges("feed_viewers", "Viewers of a feed or published session.", "feed", viewers)

    def _frames(self) -> Iterator[Metric]:
        totals = self._app[MEDIA].report.totals.frames
        yield _counter("frames_received", "Frames received.", totals.received)
        yield _counter("frames_drawn", "Frames with a caption drawn on them.", totals.drawn)
        yield _counter("frames_encoded", "Frames encoded for viewers.", totals.encoded)
        dropped = {
            "draw": totals.not_drawn,
            "caption": totals.not_captioned,
            "encode": totals.not_encoded,
            "deliver": totals.not_delivered,
        }
        about = "Frames dropped before a stage: replaced by newer ones, or the stage failed."
        yield _counters("frames_dropped", about, "stage", dropped)

    def _captions(self) -> Iterator[Metric]:
        totals = self._app[MEDIA].report.totals
        yield _counter("captions", "Captions published.", totals.frames.captions)
        about = "Age of the frame when its caption is published."
        yield _histogram("caption_age_seconds", about, totals.caption_ages_s)
        about = "Time that frames wait for the captioner."
        yield _histogram("engine_wait_seconds", about, totals.engine_waits_s)
        about = "Requests for captions of images that are being received, wait or are captioned."
        yield _gauge("image_requests", about, len(self._app[IMAGE_CAPTIONS]))
        ready = self._app[CAPTIONS].state is EngineState.READY
        yield _gauge("engine_ready", "Whether the captioner is ready.", ready)
        if engine := self._app.get(ENGINE):
            restarts = max(0, engine.starts - 1)
            yield _counter("engine_restarts", "Restarts of the engine's worker process.", restarts)
            yield _gauge("engine_jobs", "Explanations and analyses in progress.", engine.jobs)
            about = "Whether a standby worker process is loaded."
            yield _gauge("engine_standby", about, engine.has_standby)

        if endpoint := self._app.get(ENDPOINT):
            outcomes = {"answered": endpoint.answered, "failed": endpoint.failed}
            about = "Requests to the endpoint that captions."
            yield _counters("endpoint_requests", about, "outcome", outcomes)

        if pool := self._app.get(POOL):
            about = "Time that captions waited at a replica of the pool, and on the way."
            waits_s = pool.replicas.waits_s
            yield _histograms("pool_wait_seconds", about, "replica", waits_s)
            about = "Frames that no replica captioned, and requests repeated at another replica."
            failures = {name.replace(" ", "_"): n for name, n in pool.replicas.failures.items()}
            yield _counters("pool_failures", about, "reason", failures)
            about = "Answers of replicas, by whether they came through a proxy of Ray Serve."
            yield _counters("pool_answers", about, "route", pool.replicas.routes)

    def _load(self) -> Iterator[Metric]:
        load = self._app[MEDIA].report
        about = (
            "Load level, by what is skipped: 1 saliency, 2 word maps, 3 every second caption, "
            "4 new sessions."
        )
        yield _gauge("load_level", about, load.level)
        about = "Third quartile of caption ages, as a ratio of the accepted age."
        yield _gauge("load_lateness_ratio", about, load.pressure.lateness)
        about = "Delay of scheduled callbacks on the event loop."
        yield _gauge("event_loop_lag_seconds", about, load.pressure.lag_s)

    def _processes(self) -> Iterator[Metric]:
        processes = self._app[MEDIA].processes
        if not processes:
            return
        about = "Whether a media process runs."
        running = {each.name: float(each.is_running) for each in processes}
        yield _gauges("media_process_up", about, "process", running)
        about = "Media processes that replaced another one."
        restarts = {each.name: max(0, each.starts - 1) for each in processes}
        yield _counters("media_process_restarts", about, "process", restarts)
        about = "Live sessions of a media process."
        sessions = {each.name: each.sessions for each in processes}
        yield _gauges("media_process_sessions", about, "process", sessions)
        about = "Feeds of a media process."
        feeds = {each.name: each.feeds for each in processes}
        yield _gauges("media_process_feeds", about, "process", feeds)
        about = "Load level of a media process."
        levels = {each.name: each.level for each in processes}
        yield _gauges("media_process_load_level", about, "process", levels)
        about = "CPU time of a media process and of those that it replaced."
        cpu = {each.name: each.cpu_s for each in processes}
        yield _counters("media_process_cpu_seconds", about, "process", cpu)
        about = "Resident memory of a media process."
        memory = {each.name: each.resident_bytes for each in processes}
        yield _gauges("media_process_resident_memory_bytes", about, "process", memory)

    def _http(self) -> Iterator[Metric]:
        limits = self._app[LIMITS]
        yield _counter(
            "http_requests_refused", "HTTP requests rejected by a limit.", limits.rejected
        )
        if (connections := self._app.get(CONNECTIONS)) is not None:
            yield _gauge("http_connections", "Open HTTP connections.", len(connections))
            about = "HTTP connections rejected by a limit."
            yield _counter("http_connections_refused", about, connections.rejected)
            about = "Bytes received over HTTP, also of rejected requests."
            yield _counter("http_received_bytes", about, connections.received_bytes)

    def _delivery(self) -> Iterator[Metric]:
        subscribers = self._app[SUBSCRIBERS]
        yield _gauge("subscribers", "Clients that follow captions over HTTP.", len(subscribers))
        unsent = self._app[MEDIA].report.totals.unsent_captions
        lost = {"channel": unsent, "subscriber": subscribers.dropped}
        if history := self._app.get(HISTORY):
            lost["history"] = history.dropped + history.lost
        if webhook := self._app.get(WEBHOOK):
            lost["webhook"] = webhook.lost
        if mqtt := self._app.get(MQTT):
            lost["mqtt"] = mqtt.dropped
        if history and history.settings.pictures != "off":
            outcomes = {"stored": history.pictures.kept, "lost": history.pictures.lost}
            about = "Pictures of new captions, by whether they were stored."
            yield _counters("history_pictures", about, "outcome", outcomes)
        about = "Captions not delivered, because a recipient was too slow or could not be reached."
        yield _counters("captions_lost", about, "recipient", lost)

    def _rules(self) -> Iterator[Metric]:
        watcher = self._app[RULE_WATCHER]
        if not watcher.rules:
            return
        about = "Firings of a rule."
        yield _counters("rule_firings", about, "rule", watcher.fired)
        about = "Times when a rule did not fire because of its cool-down."
        yield _counters("rule_firings_suppressed", about, "rule", watcher.suppressed)
        on = dict.fromkeys(watcher.rules, 0)
        for (rule, _), is_on in self._app[PUBLICATIONS].rules.states.items():
            on[rule] = on.get(rule, 0) + is_on
        yield _gauges("rule_feeds_on", "Feeds for which a rule is on.", "rule", on)
        lost = {"history": watcher.unrecorded}
        if webhook := self._app.get(WEBHOOK):
            lost["webhook"] = webhook.lost_firings
        if mqtt := self._app.get(MQTT):
            lost["mqtt"] = mqtt.rules.dropped
        if apprise := self._app.get(APPRISE):
            lost["apprise"] = apprise.lost
        yield _counters("rule_firings_lost", "Firings not delivered.", "recipient", lost)

    def _cluster(self) -> Iterator[Metric]:
        if (cluster := self._app.get(CLUSTER)) is None:
            return
        about = "Whether the cluster's database answers."
        yield _gauge("cluster_database_up", about, cluster.is_connected)
        about = "Servers of the cluster that are alive, this one included, as last known."
        yield _gauge("cluster_servers", about, 1 + len(cluster.membership.view.urls))
        about = "Feeds and published sessions that this server holds the lease of."
        yield _gauge("cluster_leases", about, len(cluster.membership.streams))
        about = "Whether this server sends the captions of the cluster to sinks."
        yield _gauge("cluster_sends", about, cluster.sinks_token is not None)
        writer = cluster.writer
        outcomes = {
            "written": writer.written,
            "refused": writer.refused,
            "dropped": writer.dropped,
        }
        about = "Captions for the other servers, by whether the database took them."
        yield _counters("cluster_captions_sent", about, "outcome", outcomes)
        about = "Captions that wait for the database."
        yield _gauge("cluster_captions_waiting", about, writer.waiting)
        about = "Captions of other servers that were published here."
        yield _counter("cluster_captions_received", about, cluster.reader.read_count)
        about = "Age of the latest caption of another server when it arrived, since it was written."
        yield _gauge("cluster_lag_seconds", about, cluster.reader.lag_s)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sightline_{name}", about, value=float(value))


def _gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"sightline_{name}", about, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"sightline_{name}", about, value=float(value))


def _counters(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = CounterMetricFamily(f"sightline_{name}", about, labels=[label])
    for each, value in values.items():
        family.add_metric([each], value)
    return family


def _histogram(name: str, about: str, values: Histogram) -> Metric:
    return HistogramMetricFamily(f"sightline_{name}", about, _buckets(values), values.total)


def _histograms(name: str, about: str, label: str, values: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(f"sightline_{name}", about, labels=[label])
    for each, histogram in values.items():
        family.add_metric([each], _buckets(histogram), histogram.total)
    return family


def _buckets(values: Histogram) -> list[tuple[str, int]]:
    return [
        ("+Inf" if bound == float("inf") else str(float(bound)), count)
        for bound, count in values.cumulative()
    ]
