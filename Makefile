# allo: what a developer types. `make test` is the whole check, and all that CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where Debian and Ubuntu keep PostgreSQL's server programs (they are not in PATH).
POSTGRES_BIN := $(shell ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
export PATH := $(PATH):$(POSTGRES_BIN)

.PHONY: help test tools soak bench bench-quick fuzz

help:
	@echo 'make test    install what the tests need if it is missing, then check everything'
	@echo 'make soak    runs the server under everyday use for HOURS=8 and looks whether it grows'
	@echo 'make tools   only install what the tests need'
	@echo 'make fuzz    look for inputs that break a parser, MINUTES=10 for each target'
	@echo 'make bench   measure what one server carries (more calls, for longer; SCENARIO=playback: only that)'
	@echo 'make bench-quick   the same in two minutes, for before and after a change'

# The same profile for each step, so that dependencies are compiled once. The soak test waits most of
# its ten minutes, so one test more runs at once than there are processors.
test: tools
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --no-fail-fast --test-threads $$(( $$(nproc) + 1 )); else cargo test --no-fail-fast --lib --bins --tests; fi
	cargo test --doc
	cargo test --quiet --bench acd --bench day --bench parts # each once, so that none rots
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet

# Prints a line each minute, and at the end what grew.
HOURS ?= 8
soak: tools
	ALLO_SOAK_SECONDS=$$(( $(HOURS) * 3600 )) cargo test --release --test faults -- soak:: --nocapture

# Against the release binary, and against what the bare machine takes; figures land in target/bench.
bench: tools
	cargo build --release
	cargo bench --bench load -- $(SCENARIO)
	[ -n "$(SCENARIO)" ] || cargo bench --bench acd --bench day --bench parts

bench-quick: tools
	cargo build --release
	cargo bench --bench load -- --quick $(SCENARIO)

# Real SIP peers, an audio converter and a database server: each only when it is missing.
tools:
	@missing=
	command -v sipp >/dev/null || missing+=' sip-tester'
	command -v baresip >/dev/null || missing+=' baresip'
	command -v sox >/dev/null || missing+=' sox'
	command -v initdb >/dev/null || missing+=' postgresql'
	[ -n "$$missing" ] || exit 0
	if ! command -v apt-get >/dev/null; then
	    echo "The tests need$$missing (Debian's names). Install them and run make again." >&2; exit 1
	fi
	if [ "$$(id -u)" = 0 ]; then as_root=
	elif sudo -n true 2>/dev/null; then as_root='sudo -n'
	else
	    echo "The tests need$$missing. Run: sudo apt-get install$$missing" >&2; exit 1
	fi
	echo "Installing$$missing"
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null

# Minutes for each target; TARGETS: some of fuzz/corpus. New inputs are kept in fuzz/found, which is not
# committed; what breaks a target lies in fuzz/artifacts, and belongs into fuzz/corpus once it is
# mended. Rust is safe code, so no sanitizer is needed, and any toolchain will do.
MINUTES ?= 10
TARGETS ?= $(notdir $(wildcard fuzz/corpus/*))

fuzz:
	@if ! cargo fuzz --version >/dev/null 2>&1; then
	    echo 'cargo-fuzz is needed. Run: cargo install cargo-fuzz' >&2; exit 1
	fi
	for target in $(TARGETS); do
	    case $$target in
	        sip_*) others=$$(echo tests/torture/rfc4475/{valid,invalid} tests/torture/rfc5118/wire) ;;
	        plan) others=$$(echo dialplans dialplans/tests dialplans/days) ;;
	        *) others= ;;
	    esac
	    dictionary=fuzz/dict/$$target.dict
	    mkdir -p fuzz/found/$$target
	    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target \
	        fuzz/found/$$target fuzz/corpus/$$target $$others -- \
	        -max_total_time=$$(( $(MINUTES) * 60 )) -timeout=10 -rss_limit_mb=1024 \
	        -malloc_limit_mb=128 -max_len=8192 $$([ ! -f $$dictionary ] || echo -dict=$$dictionary)
	done

# One shell runs a whole recipe, so that its lines share variables.
.ONESHELL:
