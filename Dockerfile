# One image for every role: `docker run IMAGE serve /data`, `… worker /data`, `… admin pending`. See docs/deploy.md.
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# Another set of cargo features: --build-arg FEATURES=sql
ARG FEATURES=""
RUN cargo build --release --locked -p belvedere --features "$FEATURES"

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl make openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /srv/belvedere --create-home --shell /usr/sbin/nologin belvedere \
    && install -d -o belvedere -g belvedere /state /secrets /blobs \
    && install -d /data
COPY --from=build /source/target/release/belvedere /usr/local/bin/belvedere
COPY deploy/first-secrets.sh /usr/local/bin/first-secrets
COPY Makefile /srv/belvedere/Makefile
USER belvedere
# `docker exec CONTAINER make cancel-jobs-splits` finds the Makefile here.
WORKDIR /srv/belvedere
ENV SERVE_STATE=/state \
    API_UVICORN_HOSTNAME=0.0.0.0 \
    API_UVICORN_PORT=8000 \
    WORKER_UVICORN_HOSTNAME=0.0.0.0 \
    WORKER_UVICORN_PORT=8000
EXPOSE 8000
VOLUME ["/state"]
# Every role answers there: servers on their address, workers and monitors on one of their own.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD curl --fail --silent --show-error http://localhost:8000/healthcheck
ENTRYPOINT ["belvedere"]
CMD ["serve", "/data"]
