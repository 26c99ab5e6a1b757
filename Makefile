# allo: what a developer types. `make test` is the whole check, and all that CI runs.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Where Debian and Ubuntu keep PostgreSQL's server programs (they are not in PATH).
POSTGRES_BIN := $(shell ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
export PATH := $(PATH):$(POSTGRES_BIN)

.PHONY: help test tools bench bench-quick

help:
	@echo 'make test    install what the tests need if it is missing, then check everything'
	@echo 'make tools   only install what the tests need'
	@echo 'make bench   measure what one server carries (an hour; SCENARIO=playback: only that)'
	@echo 'make bench-quick   the same in two minutes, for before and after a change'

# The same profile for each step, so that dependencies are compiled once.
test: tools
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --no-fail-fast; else cargo test --no-fail-fast --lib --bins --tests; fi
	cargo test --doc
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --quiet

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

# One shell runs a whole recipe, so that its lines share variables.
.ONESHELL:
