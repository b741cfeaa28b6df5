# What redis:7-bookworm is, from Debian's package.
FROM python:3.11-slim-bookworm
RUN command -v redis-server || (apt-get update && apt-get install --yes --no-install-recommends redis-server)
RUN install -d -o redis -g redis /data
WORKDIR /data
VOLUME /data
CMD ["redis-server"]
