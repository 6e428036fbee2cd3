# The image of the aggregator. deploy/docker/build.sh builds it; docs/guide/docker.md says how to run it.
#
# Everything comes from an ARG, so that a machine without these images builds from what it has:
#   PROGRAMS=build      compile in the RUST image, with the page from the NODE image
#   PROGRAMS=prebuilt   take programs that exist: the context is then a directory that build.sh lays out
ARG NODE=node:20-bookworm-slim
ARG RUST=rust:1.94-slim-bookworm
ARG BASE=debian:bookworm-slim
ARG PROGRAMS=build

FROM ${NODE} AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM ${RUST} AS build
# hadolint ignore=DL3008
RUN apt-get update -q && apt-get install -qy --no-install-recommends ca-certificates gcc g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
COPY --from=web /src/web/dist web/dist
RUN cargo build --release --locked -p aggregator \
    && install -D -m 0755 --strip target/release/aggregator /out/bin/aggregator \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /out/certificates/ca-certificates.crt \
    && mkdir /out/data

FROM scratch AS prebuilt
COPY . /out/

# hadolint ignore=DL3006
FROM ${PROGRAMS} AS programs

# hadolint ignore=DL3006
FROM ${BASE}
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Everypath aggregator" \
    org.opencontainers.image.description="Keeps what the agents of a mesh measure, and shows it" \
    org.opencontainers.image.licenses="LicenseRef-Everypath" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

# No RUN from here on: the base may have no shell. An empty directory gives a new volume its owner.
COPY --from=programs /out/certificates /etc/ssl/certs
COPY --from=programs /out/bin/aggregator /usr/local/bin/aggregator
COPY --from=programs --chown=65532:65532 /out/data /var/lib/everypath
COPY --from=programs --chown=65532:65532 /out/data /etc/everypath

USER 65532:65532
ENV EVERYPATH_AGGREGATOR_DATA_DIR=/var/lib/everypath
EXPOSE 8443
# It asks /readyz on the aggregator's own loopback, so no shell and no other program is needed.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/usr/local/bin/aggregator", "healthy"]
ENTRYPOINT ["/usr/local/bin/aggregator"]
CMD ["serve"]
