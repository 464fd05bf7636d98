# flb-sidecar: `make demo` shows the main job, `make test` proves everything.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

CARGO ?= cargo
TARGET := $(CURDIR)/target
# What needs a later Rust than the rest.
AVX512 := $(shell [ "$$(rustc --version | sed 's/^rustc 1\.\([0-9]*\).*/\1/')" -ge 89 ] && echo --features avx512)
PLUGINS := flb-in_sidecar_tail flb-filter_pii_redact flb-filter_kube_metadata flb-out_completion_exit
# Programs for images without a shell.
PROGRAMS := flb-sidecar-probe flb-sidecar-start
PROBES := flb-in_probe flb-filter_probe flb-out_probe
# Where images have the plugins.
INSTALLED := /fluent-bit/plugins

# What is released is linked against the glibc of 2012: Debian, Ubuntu, Amazon Linux 2, RHEL 7.
TARGET_ARCH ?= x86_64
TRIPLE := $(TARGET_ARCH)-unknown-linux-gnu
GLIBC := 2.17
DIST ?= $(CURDIR)/dist$(if $(filter-out x86_64,$(TARGET_ARCH)),-$(TARGET_ARCH))
TOOLS ?= $(TARGET)/tools
CARGO_HOME ?= $(HOME)/.cargo

# Links to one library, and the files that name them to a host (classic and YAML): $(call link,LIBRARY,FOLDER,NAMES)
define link
	mkdir -p $(2)
	ln -sfn $(1) $(2)/libflb_sidecar.so
	$(call lists,$(2),$(3),$(2))
endef
# Beside a library: links, and lists as they are read in folder WHERE: $(call lists,FOLDER,NAMES,WHERE)
define lists
	for name in $(2); do ln -sfn libflb_sidecar.so $(1)/$$name.so; done
	{ echo '[PLUGINS]'; for name in $(2); do echo "    Path $(3)/$$name.so"; done; } > $(1)/plugins.conf
	{ echo 'plugins:'; for name in $(2); do echo "  - $(3)/$$name.so"; done; } > $(1)/plugins.yaml
endef

# The library as it is released; more arguments may follow.
define zigbuild
	PATH="$(TOOLS)/bin:$$PATH" CARGO_ZIGBUILD_PYTHON_PATH=$(TOOLS)/bin/python \
	SOURCE_DATE_EPOCH=0 CARGO_INCREMENTAL=0 \
	RUSTFLAGS="--remap-path-prefix=$(CURDIR)=/flb-sidecar --remap-path-prefix=$(CARGO_HOME)=/cargo" \
	CFLAGS="-ffile-prefix-map=$(CURDIR)=/flb-sidecar -ffile-prefix-map=$(CARGO_HOME)=/cargo" \
	$(CARGO) zigbuild --release --locked --package flb-sidecar --lib --bin flb-sidecar-abi $(AVX512) \
		--target $(TRIPLE).$(GLIBC) --target-dir $(TARGET)/dist
endef

.PHONY: build
build: deps ## the library and its links in target/plugins
	$(CARGO) build --release $(AVX512)
	@$(call link,$(TARGET)/release/libflb_sidecar.so,$(TARGET)/plugins,$(PLUGINS))

.PHONY: build-probe
build-probe: deps ## the same with plugins that misbehave on demand, for the border's tests
	$(CARGO) build --features probe --target-dir $(TARGET)/probe
	@$(call link,$(TARGET)/probe/debug/libflb_sidecar.so,$(TARGET)/probe/plugins,$(PLUGINS) $(PROBES))

.PHONY: dist
dist: deps tools ## the released files in dist/, for glibc 2.17 and later; TARGET_ARCH=aarch64 in dist-aarch64/
	for target in $(TRIPLE) $(TARGET_ARCH)-unknown-linux-musl; do \
		[ -d "$$(rustc --print sysroot)/lib/rustlib/$$target/lib" ] || rustup target add $$target; done
	$(zigbuild)
	@mkdir -p $(DIST)
	install -m 755 $(TARGET)/dist/$(TRIPLE)/release/libflb_sidecar.so $(DIST)/libflb_sidecar.so
	install -m 755 $(TARGET)/dist/$(TRIPLE)/release/flb-sidecar-abi $(DIST)/flb-sidecar-abi
	@$(call lists,$(DIST),$(PLUGINS),$(INSTALLED))
	for program in $(PROGRAMS); do \
		rustc --edition 2021 --target $(TARGET_ARCH)-unknown-linux-musl -C linker=rust-lld -C linker-flavor=ld.lld \
			-C opt-level=z -C lto=fat -C panic=abort -C strip=symbols --remap-path-prefix=$(CURDIR)=/flb-sidecar \
			-o $(DIST)/$$program plugins/out_completion_exit/src/bin/$$program.rs; done
	cd $(DIST) && sha256sum *.so flb-sidecar-abi $(PROGRAMS) plugins.conf plugins.yaml > SHA256SUMS && cat SHA256SUMS

.PHONY: dist-check
dist-check: dist dist-panics ## a build in another folder has the same bytes; no panic reaches a host
	rm -rf $(TARGET)/elsewhere
	mkdir -p $(TARGET)/elsewhere/a/longer/path
	tar -c --exclude=./target --exclude="./dist*" --exclude=./.git . | tar -x -C $(TARGET)/elsewhere/a/longer/path
	$(MAKE) -C $(TARGET)/elsewhere/a/longer/path dist TOOLS=$(TOOLS)
	diff -r $(DIST) $(TARGET)/elsewhere/a/longer/path/$(notdir $(DIST))
	@echo "two builds, same bytes"

.PHONY: dist-panics
dist-panics: dist ## panics in every callback, with plugins that misbehave in a library built as the released one
	$(zigbuild) --features probe
	@if [ $(TARGET_ARCH) = $$(uname -m) ]; then \
		FLB_SIDECAR_PROBE_LIBRARY=$(TARGET)/dist/$(TRIPLE)/release/libflb_sidecar.so \
			$(CARGO) test -p flb-sidecar-tests --test scenarios --test real_host -- panic workers; \
	else tests/aarch64.sh $(TOOLS) $(TARGET) panics $(TARGET)/dist/$(TRIPLE)/release/libflb_sidecar.so; fi

# Images over a stock one: $(IMAGES)/sidecar, plugins, installer (see docker/), and the collector of make e2e.
IMAGES ?= localhost/flb-sidecar
BASE ?= fluent/fluent-bit:5.1.1
TAG ?= $(lastword $(subst :, ,$(BASE)))
STAGES := sidecar plugins installer
.PHONY: images
images: dist ## images over BASE as IMAGES/sidecar:TAG, plugins, installer, and the collector of make e2e
	for stage in $(STAGES); do \
		docker build -f docker/Dockerfile --target $$stage --build-arg BASE=$(BASE) -t $(IMAGES)/$$stage:$(TAG) .; done
	mkdir -p $(TARGET)/collector
	rustc --edition 2021 --target $(TARGET_ARCH)-unknown-linux-musl -C linker=rust-lld -C linker-flavor=ld.lld \
		-C opt-level=s -o $(TARGET)/collector/collector tests/harness/src/bin/collector.rs
	docker build -f tests/collector.dockerfile -t $(IMAGES)/collector:$(TAG) $(TARGET)/collector

.PHONY: images-push
images-push: ## the same for both processors, pushed under one name
	$(MAKE) dist
	$(MAKE) dist TARGET_ARCH=aarch64
	for stage in $(STAGES); do \
		docker buildx build -f docker/Dockerfile --target $$stage --build-arg BASE=$(BASE) \
			--platform linux/amd64 --push -t $(IMAGES)/$$stage:$(TAG)-amd64 .; \
		docker buildx build -f docker/Dockerfile --target $$stage --build-arg BASE=$(BASE) --build-arg DIST=dist-aarch64 \
			--platform linux/arm64 --push -t $(IMAGES)/$$stage:$(TAG)-arm64 .; \
		docker buildx imagetools create -t $(IMAGES)/$$stage:$(TAG) \
			$(IMAGES)/$$stage:$(TAG)-amd64 $(IMAGES)/$$stage:$(TAG)-arm64; done

# What a release consists of, beside the images.
RELEASE := $(TARGET)/release-files
.PHONY: release
release: ## the released files of both processors as archives, with checksums and a list of packages
	$(MAKE) dist
	$(MAKE) dist TARGET_ARCH=aarch64
	rm -rf $(RELEASE) && mkdir -p $(RELEASE)
	for arch in x86_64 aarch64; do \
		tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -czf $(RELEASE)/flb-sidecar-$$arch.tar.gz \
			-C $(CURDIR)/dist$$([ $$arch = x86_64 ] || echo -$$arch) .; done
	command -v cargo-cyclonedx >/dev/null || $(CARGO) install --locked cargo-cyclonedx
	$(CARGO) cyclonedx --format json --override-filename sbom && mv sbom.json $(RELEASE)/flb-sidecar.cdx.json
	find plugins tests -name sbom.json -delete
	cd $(RELEASE) && sha256sum * > SHA256SUMS && cat SHA256SUMS

# Real hosts from images, for make test; see tests/hosts.sh.
HOSTS ?= fluent/fluent-bit:1.9.10 fluent/fluent-bit:2.1.0 fluent/fluent-bit:3.2.10 fluent/fluent-bit:4.2.0 fluent/fluent-bit:5.1.1
HOSTS_FOLDER ?= /opt
.PHONY: hosts
hosts: tools ## real hosts from the images HOSTS into HOSTS_FOLDER, where the tests find them
	tests/hosts.sh $(HOSTS_FOLDER) $(HOSTS)

.PHONY: e2e-cluster
e2e-cluster: ## a cluster of kind with the images, for make e2e
	kind create cluster --name flb-sidecar --wait 120s
	for image in $(addsuffix :$(TAG),$(STAGES) collector) $(if $(NEXT),sidecar:$(NEXT)); do \
		kind load docker-image --name flb-sidecar $(IMAGES)/$$image; done

# The tag of a second sidecar image, which running pods are changed to.
NEXT ?=
.PHONY: e2e
e2e: ## in the cluster of KUBECONFIG with the images IMAGES/…:TAG: triggers, destinations, deletes, policies, rights
	$(CARGO) run --quiet -p flb-sidecar-tests --bin e2e -- $(IMAGES) $(TAG) $(NEXT)

.PHONY: tools
tools:
	@tests/tools.sh $(TOOLS)

.PHONY: demo
demo: build ## the Job of a main container and its sidecar, in a real host if there is one
	$(CARGO) run --quiet -p flb-sidecar-tests --bin demo -- $(TARGET)/plugins

# Twice as many tests at a time as there are cores: most wait for a host most of the time.
.PHONY: test
test: build build-probe ## everything that proves it
	@rm -rf $(DIST)
	@if tests/tools.sh $(TOOLS); then $(MAKE) --no-print-directory dist; \
	else echo "SKIPPED make dist and what is tested on it: no packages from PyPI (see tests/tools.txt)"; fi
	RUST_TEST_THREADS=$$((2 * $$(nproc))) $(CARGO) test --workspace --no-fail-fast $(AVX512)
	tests/aarch64.sh $(TOOLS) $(TARGET) some

# What plays on real hosts only, or on them as well.
ON_HOSTS := scenarios real_host reload_rules golden abi examples hostile hostile_records kube_api kube_sources retries \
	tail_differences tail_options tail_peers takeover triggers pid_one exit_reports jobs kill stuck upgrade stock conf docs account \
	failure_table memory faults unfollowed
.PHONY: test-discover
test-discover: build build-probe ## what make test does on real hosts, with layouts from their debug information
	FLB_SIDECAR_ABI=discover \
	FLB_SIDECAR_LIBRARY=$(TARGET)/release/libflb_sidecar.so \
	FLB_SIDECAR_PROBE_LIBRARY=$(TARGET)/probe/debug/libflb_sidecar.so \
	$(CARGO) test --package flb-sidecar-tests --no-fail-fast $(ON_HOSTS:%=--test %) -- --skip test_host

# A Fluent Bit built for aarch64; without it the crates' tests and the C test host's generations.
HOST ?=
.PHONY: test-aarch64
test-aarch64: deps tools ## tests for aarch64 under qemu: crates and C test host, or with HOST=… scenarios on a real host
	tests/aarch64.sh $(TOOLS) $(TARGET) $(if $(HOST),host $(HOST),all)

# A new release's program with debug information; BEFORE, one of the release before it.
BEFORE ?=
.PHONY: generation
generation: deps ## what the table of host generations needs to know a new release: HOST=…/bin/fluent-bit
	@[ -x "$(HOST)" ] || { echo "make generation HOST=…/bin/fluent-bit [BEFORE=…/bin/fluent-bit]" >&2; exit 2; }
	@$(CARGO) run --quiet -p flb-sidecar --bin flb-sidecar-abi -- --row \
		"$$($(HOST) --version | sed -n 's/^Fluent Bit v\([0-9.]*\).*/\1/p')" $(HOST) $(BEFORE)

# Labelled cases in JSON lines, as in tests/cases/redaction; ACCURACY takes --wrong and --notes.
CASES ?= tests/cases/redaction/*.jsonl
ACCURACY ?= --notes
.PHONY: accuracy
accuracy: build ## how many labelled cases of pii_redact come out right of the built library: CASES='folder/*.jsonl'
	FLB_SIDECAR_LIBRARY=$(TARGET)/release/libflb_sidecar.so \
	$(CARGO) run --quiet -p flb-sidecar-tests --bin accuracy -- $(ACCURACY) $(CASES)

.PHONY: catalogue
catalogue: deps ## the page of what pii_redact finds, from its catalogue
	FLB_SIDECAR_WRITE_CATALOGUE=1 $(CARGO) test --quiet -p filter_pii_redact --lib the_page_for_users

# How many records, and the seed of the first.
SOAK_RECORDS ?= 1000000
.PHONY: soak-redact
soak-redact: deps ## records of the catalogue's examples in every view: the gate of pii_redact passes nothing by
	SOAK=$(SOAK_RECORDS) SOAK_SEED=$(SOAK_SEED) \
	$(CARGO) test --release -p filter_pii_redact $(AVX512) --lib the_gate_passes_nothing_by -- --nocapture

# How long each target runs; which ones. What breaks one goes into its corpus.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(basename $(notdir $(wildcard tests/fuzz/fuzz_targets/*.rs)))
FUZZ_HOST := $(shell rustc -vV | sed -n 's/^host: //p')
.PHONY: fuzz
fuzz: deps ## every fuzz target for FUZZ_SECONDS, with libFuzzer (needs c++)
	RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares" \
	$(CARGO) build --package flb-sidecar-fuzz --features libfuzzer --profile fuzz \
		--target $(FUZZ_HOST) --target-dir $(TARGET)/fuzz
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $(TARGET)/fuzz/corpus/$$target; \
		$(TARGET)/fuzz/$(FUZZ_HOST)/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 \
			-artifact_prefix=tests/fuzz/corpus/$$target/ \
			$(TARGET)/fuzz/corpus/$$target tests/fuzz/corpus/$$target; done

.PHONY: bench
bench: build build-probe ## our plugins against the stock ones on every host found: a table, also in target/bench
	FLB_SIDECAR_LIBRARY=$(TARGET)/release/libflb_sidecar.so \
	FLB_SIDECAR_PROBE_LIBRARY=$(TARGET)/probe/debug/libflb_sidecar.so \
	$(CARGO) run --quiet -p flb-sidecar-tests --bin bench

# How many Jobs, and how many at a time; FLB_SIDECAR_SEED repeats a run.
SOAK_JOBS ?= 1000
SOAK_AT_ONCE ?= 8
.PHONY: soak
soak: build soak-tail ## short Jobs on every real host, the comparison with a shell loop, soak-tail, upgrades, a burst in little memory
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak -- $(TARGET)/plugins $(SOAK_JOBS) $(SOAK_AT_ONCE)
	$(MAKE) --no-print-directory soak-upgrade soak-memory soak-stuck soak-faults

# How many upgrades of each kind, and in how many pods at a time. The older build is OLD_LIBRARY,
# else made from the commit OLD; without history there is none.
UPGRADES ?= 100
UPGRADED_PODS ?= 4
OLD ?= 34614db
OLD_LIBRARY ?= $(TARGET)/old/$(OLD)/release/libflb_sidecar.so
.PHONY: soak-upgrade
soak-upgrade: build ## sidecars replaced in place under load, forth and back, across hosts and builds
	[ -e $(OLD_LIBRARY) ] || ! git cat-file -e $(OLD) 2>/dev/null || { \
		mkdir -p $(TARGET)/old/$(OLD)/source && git archive $(OLD) | tar -x -C $(TARGET)/old/$(OLD)/source; \
		$(CARGO) build --release --locked --lib --manifest-path $(TARGET)/old/$(OLD)/source/Cargo.toml \
			--target-dir $(TARGET)/old/$(OLD); }
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak-upgrade -- $(UPGRADES) $(UPGRADED_PODS) \
		$(TARGET)/release/libflb_sidecar.so $$(ls $(OLD_LIBRARY) 2>/dev/null || true)

.PHONY: soak-memory
soak-memory: build ## conf/full in 64 MiB: a burst of 100 MB while the destination is down for 30 s
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak-memory -- $(TARGET)/release/libflb_sidecar.so

# How many Jobs at once, and which part of them (1 of that many).
STUCK_AT_ONCE ?= 12
STUCK_PART ?= 1
.PHONY: soak-stuck
soak-stuck: build ## a Job for every way in which a destination may be stuck, every output, on every real host
	FLB_SIDECAR_LIBRARY=$(TARGET)/release/libflb_sidecar.so \
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak-stuck -- $(STUCK_AT_ONCE) $(STUCK_PART)

# How many scripts, how many at once, the seed of the first, and from each seed to the next.
FAULT_SCRIPTS ?= 200
FAULTS_AT_ONCE ?= 8
FAULTS_SEED ?= $(shell date +%s)
FAULTS_STEP ?= 1
.PHONY: soak-faults
soak-faults: build ## Jobs whose destinations fail as random scripts say: the report's account is what came
	FLB_SIDECAR_LIBRARY=$(TARGET)/release/libflb_sidecar.so \
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak-faults -- $(FAULT_SCRIPTS) $(FAULTS_AT_ONCE) $(FAULTS_SEED) $(FAULTS_STEP)

# How many random scripts, and the seed of the first; as many again on tmpfs, ext4 and overlayfs together.
SOAK_SCRIPTS ?= 10000
SOAK_SEED ?= $(shell date +%s)
# How many simulated schedules of sidecar_tail.
SOAK_SCHEDULES ?= 100000
.PHONY: soak-tail
soak-tail: build ## simulated schedules of sidecar_tail, random scripts against its model, and its latency
	SIDECAR_TAIL_SCHEDULES=$(SOAK_SCHEDULES) SIDECAR_TAIL_SEED=$(SOAK_SEED) \
	$(CARGO) test --release -p in_sidecar_tail --lib -- --nocapture sim::no_schedule
	SIDECAR_TAIL_SCRIPTS=$(SOAK_SCRIPTS) SIDECAR_TAIL_SEED=$(SOAK_SEED) \
	$(CARGO) test --release -p in_sidecar_tail --test model -- --nocapture
	$(CARGO) run --quiet -p flb-sidecar-tests --bin latency -- $(TARGET)/plugins

# How many hostile folders, and the seed of the first.
HOSTILE_FOLDERS ?= 1000
HOSTILE_SEED ?= $(shell date +%s)
.PHONY: soak-hostile
soak-hostile: build ## random hostile folders, watched from outside; what each attack costs every real host
	HOSTILE_FOLDERS=$(HOSTILE_FOLDERS) HOSTILE_SEED=$(HOSTILE_SEED) \
	$(CARGO) test --release -p in_sidecar_tail --lib hostile_folders -- --nocapture
	FLB_SIDECAR_LIBRARY=$(TARGET)/release/libflb_sidecar.so \
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak-hostile

.PHONY: soak-flag
soak-flag: build ## only the time from the flag to the end of the process
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak -- $(TARGET)/plugins $(SOAK_JOBS) $(SOAK_AT_ONCE) flag

.PHONY: compare
compare: build ## only the comparison
	$(CARGO) run --quiet -p flb-sidecar-tests --bin soak -- $(TARGET)/plugins 0

.PHONY: lint
lint: deps ## formatting and clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- $(if $(CI),-D warnings)

.PHONY: deny
deny: ## licences, sources and known weaknesses of every dependency
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	$(CARGO) deny check licenses bans sources
	@$(CARGO) deny fetch db >/dev/null 2>&1 || [ -n "$$(ls -d $(CARGO_HOME)/advisory-dbs/*/.git 2>/dev/null)" ] || { \
		echo "SKIPPED advisories: the database of RustSec cannot be had, and none is cached"; exit 0; }; \
	$(CARGO) deny --offline check advisories

.PHONY: deps
deps:
	@tests/setup.sh

.PHONY: clean
clean:
	$(CARGO) clean

.PHONY: help
help:
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /  make \1\t/'
