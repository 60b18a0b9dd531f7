# Sightline in a container. The root file system may be read-only; the server writes to two volumes:
# the converted captioner and downloaded ones in /var/cache/sightline; certificate, history,
# measurements of captioners and the address for the health check in /var/lib/sightline.
#
#   openssl rand -hex 24 > admin.token
#   docker build --tag sightline .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     --volume sightline-cache:/var/cache/sightline --volume sightline-state:/var/lib/sightline \
#     --volume ./admin.token:/run/secrets/admin.token:ro --network host sightline --https
#
# WebRTC sends media over UDP to the server's own addresses, so the container shares the host's
# network. The token file must be readable by user 10001.
#
# Two more images serve several servers (.deploy/README.md). Both must be of the same version:
#
#   docker build --build-arg EXTRAS=cluster --tag sightline:cluster .         a server of a cluster
#   docker build --build-arg EXTRAS=ray --target pool --tag sightline:pool .  a captioner pool

FROM python:3.12-slim-bookworm AS build
# Extras of pyproject.toml, separated by commas.
ARG EXTRAS=""
WORKDIR /src
RUN python -m venv /venv
COPY pyproject.toml README.md LICENSE server.py ./
COPY inference ./inference
COPY models ./models
COPY stream ./stream
COPY web ./web
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.12-slim-bookworm AS base
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin sightline \
 && install --directory --owner=sightline --group=sightline --mode=0700 \
      /var/cache/sightline /var/lib/sightline
COPY --from=build /venv /venv
WORKDIR /var/lib/sightline
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2 \
    XDG_CACHE_HOME=/var/cache \
    MPLCONFIGDIR=/var/cache/sightline/matplotlib \
    HF_HOME=/var/cache/sightline/huggingface \
    XDG_STATE_HOME=/var/lib
VOLUME ["/var/cache/sightline", "/var/lib/sightline"]
STOPSIGNAL SIGTERM

# A machine of a Ray cluster, which notices within seconds that another one is lost (by default 15 s);
# Compose and KubeRay give the command. KubeRay's health checks need wget,
# and its login shells do not keep PATH.
FROM base AS pool
RUN apt-get update && apt-get install --yes --no-install-recommends wget \
 && rm -rf /var/lib/apt/lists/* \
 && ln -s /venv/bin/ray /venv/bin/serve /usr/local/bin/
ENV HOME=/tmp \
    RAY_USAGE_STATS_ENABLED=0 \
    RAY_health_check_period_ms=500 \
    RAY_health_check_timeout_ms=2000 \
    RAY_health_check_failure_threshold=3
USER 10001:10001

FROM base
ENV SIGHTLINE_HOST=0.0.0.0 \
    SIGHTLINE_ADDRESS_FILE=/var/lib/sightline/address \
    SIGHTLINE_ACCESS__ADMIN_TOKEN_FILE=/run/secrets/admin.token
USER 10001:10001
EXPOSE 4200/tcp
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s CMD ["python", "-m", "web.probe"]
# SIGTERM is blocked until Python handles it: process 1 does not get a signal that it does not handle.
ENTRYPOINT ["env", "--block-signal=TERM", "python", "-m", "server"]
