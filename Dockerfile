# One static binary in an empty image.
#
#   docker build -t sluis .
#   docker run --rm -p 7878:7878 -v "$PWD/sluis.toml:/etc/sluis/sluis.toml:ro" -e SLUIS_KEY_CI -e OPENAI_API_KEY sluis
#
# A container is reached through an address that is not loopback, and the gateway serves such an address
# only to callers with a key: the configuration must hold at least one, for example
#
#   listen = "0.0.0.0:7878"
#   [keys.ci]
#   secret = { env = "SLUIS_KEY_CI" }
#
# `docker run --rm sluis key new` makes one. Without a configuration the container says so and stops.

FROM rust:1.95-alpine AS build
RUN apk add --no-cache build-base cmake perl
WORKDIR /src
# The dependencies alone first, so that a change of our own sources does not build them again.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked && rm -r src
COPY src src
# The copies may be older than the stand-ins; cargo looks at the times.
RUN find src -name '*.rs' -exec touch {} + && cargo build --release --locked --bin sluis

FROM scratch
COPY --from=build /src/target/release/sluis /sluis
COPY LICENSE /LICENSE
# No name database in an empty image: numbers only.
USER 65532:65532
ENV SLUIS_CONFIG=/etc/sluis/sluis.toml
EXPOSE 7878
HEALTHCHECK --interval=10s --timeout=3s --start-period=2s CMD ["/sluis", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/sluis"]
