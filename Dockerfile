# syntax=docker/dockerfile:1
# docker build --tag cloakroom .
# docker run --read-only --volume cloakroom:/data --publish 127.0.0.1:8000:8000 \
#     --env CLOAKROOM_PUBLIC_URL=https://id.example.org cloakroom
FROM rust:1.95-slim-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends cmake g++ make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN cargo build --profile dist --locked --bin cloakroom \
    && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/dist/cloakroom /usr/local/bin/cloakroom
# The only writable place; it belongs to the user 65532, nonroot.
COPY --from=build --chown=65532:65532 --chmod=0700 /data /data
ENV CLOAKROOM_DATA_DIR=/data \
    CLOAKROOM_LISTEN=0.0.0.0:8000
USER 65532:65532
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["cloakroom", "healthcheck"]
ENTRYPOINT ["cloakroom"]
CMD ["serve"]
