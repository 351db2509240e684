# Everything that is done with this checkout. A plain `make` builds bin/vsl;
# `make help` lists the targets. Works as root on a fresh Debian 12 with Go.

export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin
export CGO_ENABLED ?= 0

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
PREFIX   ?= /usr/local
FUZZTIME ?= 10s
GO       ?= go
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.6.2

# The tiers differ in what they may touch; a test decides by these variables.
UNIT_ENV  := env -u VSL_TEST_REQUIRE -u VSL_TEST_ROOT
GUEST_ENV := VSL_TEST_ROOT=1 VSL_BIN=$(CURDIR)/bin/vsl
UNIT_PKGS  = $(shell $(GO) list ./... | grep -v -e /tests/guest -e /tests/bench)

.PHONY: all build help deps deps-demo deps-bench test test-unit test-guest test-inits test-vm \
	bench demo dos fuzz lint fmt gen install uninstall clean distclean vm-shell

all: build

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## static bin/vsl
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/vsl ./cmd/vsl

deps: ## install what the tests need and what is missing
	@sh tests/deps.sh test

deps-demo: ## install what the demo needs
	@sh tests/deps.sh demo

deps-bench: ## install the programs that vsl is measured against
	@sh tests/deps.sh bench

test: deps test-unit test-guest test-vm ## all three tiers

test-unit: ## format, vet and the tests that need nothing
	@bad=$$(gofmt -l cmd engine lua recipes stdlib tests 2>/dev/null); [ -z "$$bad" ] || { echo "not gofmt'ed: $$bad"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags vm ./tests/vm/...
	$(UNIT_ENV) $(GO) test -short -timeout 20m $(UNIT_PKGS)

# In a mount namespace of its own, so that nothing of the machine changes, and
# with mounts shared as systemd makes them: what leaks to the host then shows.
test-guest: build ## the real kernel of this machine (root)
	$(GUEST_ENV) unshare -m sh -c 'mount --make-rshared / && exec "$$@"' sh \
		$(GO) test -count=1 -p 1 -timeout 30m ./engine/... ./cmd/... ./tests/guest/... ./tests/docs/...

test-inits: build ## a guest with each init that Debian has, with a table of times (root, network)
	$(GUEST_ENV) VSL_TEST_INITS=1 $(GO) test -count=1 -timeout 60m -v -run 'TestInits$$' ./tests/guest/

test-vm: ## the real kernel of Debian 12, under QEMU (root)
	cd tests/vm && VSL_TEST_ROOT=1 $(GO) test -tags vm -count=1 -timeout 60m -run TestVM

vm-shell: build ## a shell in that machine, or CMD='...'
	@$(GO) build -o .cache/vmrun ./tests/vm/cmd/vmrun
	@.cache/vmrun -- $(if $(CMD),'$(subst ','\'',$(CMD))')

bench: build deps-bench ## vsl against runc, lxc, systemd-nspawn and cp
	cd tests/bench && sh run.sh

dos: build ## what a hostile guest costs its neighbour and the host (root, some minutes, a quiet machine)
	CGO_ENABLED=0 $(GO) build -o bin/dos ./tests/dos
	unshare -m -n sh -c 'ip link set lo up && exec bin/dos $(CURDIR)/bin/vsl'

demo: deps-demo build ## a Debian web server, up and down
	@$(GO) run ./tests/demo

fuzz: ## each fuzz target for FUZZTIME
	@set -e; for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg 2>/dev/null | grep '^Fuzz' || true); do \
			echo "== $$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

lint: ## golangci-lint with the rules of .golangci.yml
	@command -v golangci-lint >/dev/null || [ -x .cache/bin/golangci-lint ] || GOBIN=$(CURDIR)/.cache/bin $(GO) install $(GOLANGCI)
	PATH="$$PATH:$(CURDIR)/.cache/bin" golangci-lint run ./...

fmt: ## gofmt everything
	gofmt -w cmd engine lua recipes stdlib tests

gen: ## regenerate what is checked in: BPF objects, the reaper, editor stubs (needs clang)
	$(GO) generate ./...

install: build ## to $(DESTDIR)$(PREFIX)/bin
	install -D -m 0755 bin/vsl $(DESTDIR)$(PREFIX)/bin/vsl

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/vsl

clean: ## what was built
	rm -rf bin

distclean: clean ## and what was downloaded
	rm -rf .cache
