# Everything a contributor runs. `make` alone lists it.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LINT    := .cache/bin/golangci-lint

# The binary is static, so that it runs on any Linux node whatever its libc. The
# version comes from git here, not from the toolchain: a checkout that another
# user owns must build too.
export GOFLAGS := $(strip $(filter-out -buildvcs=%,$(GOFLAGS)) -buildvcs=false)
LDFLAGS := -s -w -X sam/app.version=$(VERSION)

# Of `make chaos`. A seed of 0 is made up, and told.
MINUTES ?= 3
SEED    ?= 0

.DEFAULT_GOAL := help
.PHONY: help build chaos hostile demo test lint fmt tools screenshots clean vet race speed

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build the static binary, bin/sam
	CGO_ENABLED=0 go build -ldflags "$(LDFLAGS)" -o bin/sam .

demo: build ## run the whole product on this machine, with stand-ins; ARGS="…" are passed on
	bin/sam demo $(ARGS)

chaos: ## kill and pause everything, machines too, for MINUTES=3 from SEED=n and count what was lost; BREAK=dedupe|lease|fence|owed|ack
	@CGO_ENABLED=0 go build $(if $(BREAK),-tags broken) -ldflags "$(LDFLAGS)" -o bin/sam-chaos .
	@bin/sam-chaos sandbox chaos --seed $(SEED) $(if $(BREAK),--break $(BREAK) --for 40s --patience 40s,--for $(MINUTES)m)

hostile: ## run an agent and a repository that mean harm, in containers, and say what was refused, contained, or got out
	@CGO_ENABLED=0 go build -ldflags "$(LDFLAGS)" -o bin/sam-hostile .
	@CGO_ENABLED=0 go build -ldflags "$(LDFLAGS)" -o bin/intruder ./sandbox/hostile/intruder
	@bin/sam-hostile sandbox hostile --intruder bin/intruder

test: ## fetch the tools, lint, vet, test with the race detector, build
	@scripts/step tools scripts/tools
	@scripts/step lint $(MAKE) --no-print-directory lint
	@scripts/step vet $(MAKE) --no-print-directory vet
	@scripts/step race $(MAKE) --no-print-directory race
	@scripts/step speed $(MAKE) --no-print-directory speed
	@scripts/step build $(MAKE) --no-print-directory build

lint: tools ## lint, and check the formatting
	$(LINT) run ./...
	@if command -v shellcheck >/dev/null; then shellcheck scripts/* .ci/run; fi

fmt: tools ## format the code in place
	$(LINT) fmt ./...

tools: ## fetch what the tests and linters need into .cache
	@scripts/tools

screenshots: ## take the pictures of docs/images anew, with Chromium
	go test ./app -count=1 -run "TestAPersonWatches|TestTheRealAgent" -screenshots ../docs/images

clean: ## remove what was built; fetched tools stay in .cache
	rm -rf bin

vet:
	go vet ./...

# The race detector needs cgo, whatever the environment says about it.
race:
	CGO_ENABLED=1 go test -race -timeout 40m ./...

# What is measured, and so must not run beside the race detector or anything else.
speed:
	go test -count=1 -p 1 -run "AtMostThreeTimes|UnderAMillisecond|FiftyMegabytes|UnderAHundredMilliseconds|UnderFiftyMilliseconds|OnAMachineOfTheStandIn" -v ./app ./gateway ./agent ./agent/shim ./runner/policy
	SAM_SPEED=1 go test -count=1 -run "InAKnownRepository" -v ./agent
