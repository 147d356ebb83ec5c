# syntax=docker/dockerfile:1
# Targets: `backroom` (the default) runs every process; `demo` adds the simulated shop.

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
RUN python -m venv /opt/backroom
COPY requirements.lock ./
RUN /opt/backroom/bin/pip install --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY schemas schemas
COPY producers producers
COPY worker worker
RUN /opt/backroom/bin/pip install --no-deps .

FROM build AS build-demo
COPY requirements-dev.lock ./
RUN /opt/backroom/bin/pip install --require-hashes --requirement requirements-dev.lock

FROM python:3.13-slim AS runtime
RUN useradd --system --uid 10001 --home-dir /app --create-home backroom
ENV PATH=/opt/backroom/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BACKROOM_LOG_FORMAT=json
WORKDIR /app
USER backroom
ENTRYPOINT ["backroom"]
CMD ["--help"]

FROM runtime AS demo
COPY --from=build-demo /opt/backroom /opt/backroom
COPY tests tests
ENTRYPOINT []
CMD ["python", "-m", "tests.simulator"]

FROM runtime AS backroom
COPY --from=build /opt/backroom /opt/backroom
