# The image of the agent. deploy/docker/build.sh builds it; docs/guide/docker.md says how to run it.
#
# The ARGs are those of aggregator.Dockerfile. The agent has no page, so no NODE.
ARG RUST=rust:1.94-slim-bookworm
ARG BASE=debian:bookworm-slim
ARG PROGRAMS=build

FROM ${RUST} AS build
# hadolint ignore=DL3008
RUN apt-get update -q && apt-get install -qy --no-install-recommends ca-certificates gcc g++ make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p mesh-agent \
    && install -D -m 0755 --strip target/release/mesh-agent /out/bin/mesh-agent \
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
LABEL org.opencontainers.image.title="Everypath agent" \
    org.opencontainers.image.description="Measures every path from its host to the other hosts of a mesh" \
    org.opencontainers.image.licenses="LicenseRef-Everypath" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"

# No RUN from here on: the base may have no shell. An empty directory gives a new volume its owner.
COPY --from=programs /out/certificates /etc/ssl/certs
COPY --from=programs /out/bin/mesh-agent /usr/local/bin/mesh-agent
COPY --from=programs --chown=65532:65532 /out/data /var/lib/everypath-agent

USER 65532:65532
ENV EVERYPATH_AGENT_DATA_DIR=/var/lib/everypath-agent
EXPOSE 7117/udp 7117/tcp
# It asks the page on the agent's own loopback, so no shell and no other program is needed.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/usr/local/bin/mesh-agent", "status"]
ENTRYPOINT ["/usr/local/bin/mesh-agent"]
CMD ["run"]
