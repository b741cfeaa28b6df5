# What postgres:17-bookworm is, from Debian's package (15).
FROM python:3.11-slim-bookworm
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql
ENV PATH=/usr/lib/postgresql/15/bin:$PATH PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
# As in the image: a tmpfs there takes its mode.
RUN chmod 3777 /var/run/postgresql
VOLUME /var/lib/postgresql/data
COPY postgres.sh /postgres.sh
CMD ["sh", "/postgres.sh"]
