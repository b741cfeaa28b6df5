# What redis:7-bookworm is, from Debian's package.
FROM python:3.11-slim-bookworm
RUN command -v redis-server || (apt-get update && apt-get install --yes --no-install-recommends redis-server)
RUN install -d -o redis -g redis /data
WORKDIR /data
VOLUME /data
# As the image's docker-entrypoint.sh sets it.
ENTRYPOINT ["sh", "-c", "umask 0077; exec \"$@\"", "sh"]
CMD ["redis-server"]
