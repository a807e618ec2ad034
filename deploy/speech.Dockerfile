# The embedded speech server's image: the same binary, built with the recogniser,
# on Debian for its engines. It stands in for speaches where there is no GPU.
# `make image` builds it. It writes to /tmp only.
#
# A release pins both bases by digest: --build-arg GO_IMAGE=NAME@sha256:…
ARG GO_IMAGE=docker.io/library/golang:1.26.8-bookworm
ARG BASE_IMAGE=docker.io/library/debian:12.13-slim

# The recogniser is a C library, so this builds on the processor it will run on.
FROM ${GO_IMAGE} AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
      gcc libc6-dev pkg-config libpocketsphinx-dev libsphinxbase-dev
WORKDIR /src
# GOPROXY names a mirror of Go's modules where the Internet is out of reach.
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=1 \
    go build -trimpath -buildvcs=false -tags pocketsphinx -ldflags "-s -w -X main.release=$VERSION" -o /out/parley ./cmd/parley

FROM ${BASE_IMAGE}
RUN apt-get update && apt-get install -y --no-install-recommends \
      flite espeak-ng libpocketsphinx3 libsphinxbase3 pocketsphinx-en-us \
    && rm -rf /var/lib/apt/lists/*
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Parley's embedded speech server" \
      org.opencontainers.image.description="OpenAI's audio API, as far as Parley uses it, on Debian's engines" \
      org.opencontainers.image.source="https://github.com/praesenz/parley" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/parley /usr/local/bin/parley
USER 65532:65532
WORKDIR /tmp
EXPOSE 8100
ENTRYPOINT ["/usr/local/bin/parley"]
# Open to the network, so it starts only with a token: PARLEY_SPEECH_TOKEN, or
# PARLEY_SPEECH_TOKEN_FILE.
CMD ["speech", "--listen", ":8100"]
