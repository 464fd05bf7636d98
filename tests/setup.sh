#!/usr/bin/env bash
# Installs what building and testing needs, as root on Debian; elsewhere says what is missing.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
command -v cargo >/dev/null || {
    echo "cargo is missing: install Rust 1.85 or later (https://rustup.rs)" >&2
    exit 1
}
# bindgen loads libclang, and needs clang's own headers beside it.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] || compgen -G '/usr/lib/llvm*/lib/libclang*.so*' >/dev/null ||
        compgen -G '/usr/lib/*/libclang*.so*' >/dev/null || compgen -G '/usr/lib64/libclang*.so*' >/dev/null
}
has_libclang || missing+=(libclang-dev)

# Tests of docker/ run images in it; without it they say SKIPPED.
if ! command -v bwrap >/dev/null && [ "$(id -u)" -eq 0 ]; then
    missing+=(bubblewrap)
fi

[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "please install: ${missing[*]}" >&2
    exit 1
fi
