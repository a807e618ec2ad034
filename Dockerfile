# Parley's image: one static binary, the example stores, nothing else; no shell
# and no package manager. `make image` builds it.
#
# A release pins both bases by digest: --build-arg GO_IMAGE=NAME@sha256:…
ARG GO_IMAGE=docker.io/library/golang:1.26.8-bookworm
ARG BASE_IMAGE=gcr.io/distroless/static-debian12:nonroot

# Go compiles for another processor by itself, so the build runs on this one's.
FROM --platform=$BUILDPLATFORM ${GO_IMAGE} AS build
WORKDIR /src
# GOPROXY names a mirror of Go's modules where the Internet is out of reach.
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.release=$VERSION" -o /out/parley ./cmd/parley
# The working folder: the embedded index lies in it where no Qdrant is named.
RUN mkdir -p /out/data

FROM ${BASE_IMAGE}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Parley" \
      org.opencontainers.image.description="Durable voice conversations for in-store kiosks" \
      org.opencontainers.image.source="https://github.com/praesenz/parley" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /out/parley /usr/local/bin/parley
COPY --from=build --chown=65532:65532 /out/data /var/lib/parley
COPY examples /usr/share/parley/examples
# Distroless calls this user nonroot; Kubernetes' runAsNonRoot needs its number.
USER 65532:65532
WORKDIR /var/lib/parley
# Kiosks and page, media plane, a worker's metrics.
EXPOSE 8080 8090 9100
ENTRYPOINT ["/usr/local/bin/parley"]
