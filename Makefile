# flb-sidecar: `make demo` shows the main job, `make test` proves everything.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

CARGO ?= cargo
TARGET := $(CURDIR)/target
PLUGINS := flb-in_sidecar_tail flb-filter_pii_redact flb-filter_kube_metadata flb-out_completion_exit
PROBES := flb-in_probe flb-filter_probe flb-out_probe

# Links to one library, and the files that name them to a host (classic and YAML): $(call link,LIBRARY,FOLDER,NAMES)
define link
	mkdir -p $(2)
	ln -sfn $(1) $(2)/libflb_sidecar.so
	for name in $(3); do ln -sfn libflb_sidecar.so $(2)/$$name.so; done
	{ echo '[PLUGINS]'; for name in $(3); do echo "    Path $(2)/$$name.so"; done; } > $(2)/plugins.conf
	{ echo 'plugins:'; for name in $(3); do echo "  - $(2)/$$name.so"; done; } > $(2)/plugins.yaml
endef

.PHONY: build
build: deps ## the library and its links in target/plugins
	$(CARGO) build --release
	@$(call link,$(TARGET)/release/libflb_sidecar.so,$(TARGET)/plugins,$(PLUGINS))

.PHONY: build-probe
build-probe: deps ## the same with plugins that misbehave on demand, for the border's tests
	$(CARGO) build --features probe --target-dir $(TARGET)/probe
	@$(call link,$(TARGET)/probe/debug/libflb_sidecar.so,$(TARGET)/probe/plugins,$(PLUGINS) $(PROBES))

.PHONY: demo
demo: build ## the Job of a main container and its sidecar, in a real host if there is one
	$(CARGO) run --quiet -p flb-sidecar-tests --bin demo -- $(TARGET)/plugins

.PHONY: test
test: build build-probe ## everything that proves it
	$(CARGO) test --workspace

.PHONY: lint
lint: deps ## formatting and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- $(if $(CI),-D warnings)

.PHONY: deny
deny: ## licences and sources of every dependency
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check licenses bans sources

.PHONY: deps
deps:
	@tests/setup.sh

.PHONY: clean
clean:
	$(CARGO) clean

.PHONY: help
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  make \1\t/'
