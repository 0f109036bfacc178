# What can be done with this repository; `make help` lists it. Scripts that do
# more than one line's work are in .ci/ and packaging/setup/.

GO          ?= go
FLOOR       := go1.24.10
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
FUZZTIME    ?= 10s
BUILD       := CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "-s -w"

# -count=1: the end-to-end tests build and run programs, of which go's cache of
# test results knows nothing.
TEST := $(GO) test -count=1

# Test programs start themselves again as tools and daemons; under the race
# detector each would wait a second at its end for reports of other goroutines.
export GORACE := atexit_sleep_ms=20 $(GORACE)

# Folders whose tests stop the daemon at its crash points. Those points are in
# no normal build, so these tests run with their tag, once more.
CRASH := $(shell grep -rlE '^//go:build.*crashpoints' --include='*_test.go' . 2>/dev/null | xargs -r -n1 dirname | sort -u)

.DEFAULT_GOAL := help
.PHONY: help setup setup-test build demo test test-core test-crash floor lint vuln bench fuzz cover size clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what building and the demo need (asks first when not root)
	@packaging/setup/prerequisites demo

setup-test: ## install what the tests need as well (asks first when not root)
	@packaging/setup/prerequisites test

build: ## build bin/qvm-remote and bin/qvm-remote-dom0, static and without cgo
	$(BUILD) -o bin/qvm-remote ./cmd/qvm-remote
	$(BUILD) -o bin/qvm-remote-dom0 ./cmd/qvm-remote-dom0

demo: setup build ## show the main job in a simulated dom0 with two qubes
	@GO=$(GO) test/demo/demo.sh

test: setup-test test-core ## set up and run every test

test-core: ## run every test that needs no GTK, then the crash tests
	$(TEST) -race ./...
	@$(MAKE) --no-print-directory test-crash

test-crash: ## stop the daemon at each of its crash points and start it again
ifneq ($(CRASH),)
	$(TEST) -tags crashpoints $(CRASH)
else
	@echo "no crash tests in this tree"
endif

floor: ## vet and test with the oldest Go that must do
	GOTOOLCHAIN=$(FLOOR) $(GO) vet ./...
	GOTOOLCHAIN=$(FLOOR) $(TEST) ./...

lint: ## gofmt, vet, staticcheck, and shellcheck where it is installed
	@GO=$(GO) STATICCHECK=$(STATICCHECK) .ci/lint

vuln: ## ask the Go vulnerability database about our dependencies (network)
	$(GO) run $(GOVULNCHECK) ./...

bench: ## measure, print a table and write docs/benchmarks.md
	$(GO) run ./test/bench

fuzz: ## run each fuzz target for FUZZTIME (10s)
	@GO=$(GO) .ci/fuzz $(FUZZTIME)

cover: ## test coverage of queue/ and daemon/, at least 85 % each
	@GO=$(GO) .ci/cover 85 queue daemon

size: build ## check that both programs are static and at most 12 MiB
	@.ci/size 12 bin/qvm-remote bin/qvm-remote-dom0

clean: ## remove what was built
	rm -rf bin build coverage.out
