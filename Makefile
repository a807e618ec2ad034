# What CI runs can be typed: every job is one target here.
SHELL     := /bin/bash
GO        ?= go
TAGS      := pocketsphinx
BIN       := bin/parley
STORE     ?= examples/hardware-store
VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
export GOFLAGS := -buildvcs=false

# Debian's packages: speech in and out for the embedded default, and a browser
# for the tests.
RUN_PACKAGES  := gcc libc6-dev pkg-config flite espeak-ng libpocketsphinx-dev libsphinxbase-dev pocketsphinx-en-us
TEST_PACKAGES := $(RUN_PACKAGES) chromium python3

.PHONY: help run build test cluster-test chaos lint bench soak turn-model fuzz generate kiosk image sbom compose-secrets packages test-packages

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The back end serves the example stores; a store of your own has one of its own.
run: packages build ## the whole system on this machine; a conversation at http://localhost:8080
ifneq ($(wildcard $(filter examples/%,$(STORE:/=))/actions),)
	@$(GO) build -o bin/backend ./examples/backend
	@examples/backend/run $(STORE)
else
	@$(BIN) dev --store $(STORE)
endif

build: ## the binary, with the embedded recogniser
	@echo "Building parley (the first time takes a few minutes) …"
	@$(GO) build -tags $(TAGS) -o $(BIN) ./cmd/parley

test: test-packages ## every test, with the real parts: Temporal, speech, a browser
	@tests/run

cluster-test: ## the chart on a real Kubernetes API server (the first time builds one: minutes; CRDS=DIR for operators' kinds)
	@cd tests/cluster && $(GO) test -tags cluster -count=1 -timeout 60m . -v $(if $(CRDS),-args -crds $(abspath $(CRDS)))

lint: ## vet, staticcheck, workflowcheck, import directions, the kiosk page's types
	@tests/lint

# Temporal's data is in memory where time is measured: a disk that stands still is
# the disk's. DATA= names a folder on one.
IN_MEMORY = TMPDIR=$(or $(DATA),$(wildcard /dev/shm))

bench: test-packages build ## the bars of docs/architecture.md, as tables
	@$(IN_MEMORY) $(GO) test -tags $(TAGS) -count=1 -timeout 20m -v -run '^TestBench' ./tests/bench -args -bench
	@$(MAKE) --no-print-directory chaos FAULTS=$(or $(FAULTS),12) ONLY="kill "

soak: packages build ## ten minutes at the capacity bar: no error, nothing that grows (KIOSKS=100 FOR=10m OUT=folder for the curves, DATA=folder on a disk)
	@$(IN_MEMORY) $(GO) test -tags $(TAGS) -count=1 -timeout 90m -v -run '^TestSoak$$' ./tests/soak -args -soak -kiosks $(or $(KIOSKS),100) -for $(or $(FOR),10m) -out $(abspath $(or $(OUT),dist/soak))

chaos: test-packages ## kills and cuts every part while customers talk, and says what was lost (FAULTS=100 SEED=… ONLY="kill gateway")
	@mkdir -p bin/chaos && $(GO) test -tags $(TAGS) -count=1 -timeout 60m -artifacts -outputdir bin/chaos -v -run '^TestNothingIsLost$$' ./tests/chaos -args -faults $(or $(FAULTS),100) $(if $(SEED),-seed $(SEED)) $(if $(ONLY),-only "$(ONLY)")

turn-model: ## Smart Turn's server, which tells who has said all, in a Python environment of its own (200 MB from PyPI); make test uses it where it is
	@deploy/turn/run --install

fuzz: ## every fuzz target for a while (FUZZTIME=2m)
	@tests/fuzz

generate: ## the chart's README, and Go code from media/media.proto and gateway/pipecat/frames.proto (needs protoc)
	@cd tests/helm && $(GO) tool helm-docs --chart-search-root ../../helm --sort-values-order file --ignore-non-descriptions
	@PATH="$(CURDIR)/bin/tools:$$PATH"; cd tools && GOBIN=$(CURDIR)/bin/tools $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc && cd .. && \
	PATH="$(CURDIR)/bin/tools:$$PATH" protoc --go_out=. --go_opt=module=github.com/praesenz/parley --go-grpc_out=. --go-grpc_opt=module=github.com/praesenz/parley media/media.proto gateway/pipecat/frames.proto

kiosk: ## the kiosk page's bundle, from its TypeScript (needs node)
	@cd kiosk && npm ci --no-audit --no-fund && npm run build

image: ## the images ghcr.io/praesenz/parley and parley-speech, by docker, podman or buildah (BUILD_FLAGS=…)
	@VERSION=$(VERSION) deploy/build-images

sbom: ## the bill of materials of the image's binary, dist/parley.cdx.json
	@mkdir -p dist
	@CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.release=$(VERSION)" -o bin/parley-static ./cmd/parley
	@cd tools && $(GO) run ./sbom ../bin/parley-static $(VERSION) >../dist/parley.cdx.json
	@echo dist/parley.cdx.json

compose-secrets: ## the secrets of compose.yaml that are missing
	@deploy/compose/make-secrets

packages:
	@tests/packages $(RUN_PACKAGES)

test-packages:
	@tests/packages $(TEST_PACKAGES)
