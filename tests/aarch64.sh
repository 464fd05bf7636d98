#!/usr/bin/env bash
# Runs scenarios for aarch64 on another machine, under qemu-user:
#   tests/aarch64.sh TOOLS TARGET [HOST]
# The C test host's generations, or the real host HOST, which must be built for aarch64. Without what
# it takes, it says SKIPPED.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$1
target=$2
host=${3-}

skip() {
    echo "SKIPPED aarch64: $1"
    exit 0
}
[ "$(uname -m)" != aarch64 ] || skip "this machine is one: make test runs everything on it"
root=/usr/aarch64-linux-gnu
if ! command -v qemu-aarch64-static >/dev/null || [ ! -e $root/lib/libgcc_s.so.1 ]; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross >/dev/null || skip "no packages"
    else
        skip "no qemu-aarch64-static or no $root (Debian: qemu-user-static, libc6-arm64-cross, libgcc-s1-arm64-cross)"
    fi
fi
[ -x "$tools/bin/cargo-zigbuild" ] || skip "no tools from PyPI (make tools)"
triple=aarch64-unknown-linux-gnu
[ -d "$(rustc --print sysroot)/lib/rustlib/$triple/lib" ] || rustup target add $triple >/dev/null 2>&1 ||
    skip "no Rust for $triple"

PATH="$tools/bin:$PATH" CARGO_ZIGBUILD_PYTHON_PATH="$tools/bin/python" \
    cargo zigbuild --quiet --locked --package flb-sidecar --lib --bin flb-sidecar-abi \
    --target $triple.2.17 --target-dir "$target/aarch64"
mkdir -p "$target/aarch64"
printf '#!/bin/sh\nexec "%s" -m ziglang cc -target aarch64-linux-gnu "$@"\n' "$tools/bin/python" \
    > "$target/aarch64/cc"
chmod +x "$target/aarch64/cc"

export FLB_SIDECAR_LIBRARY=$target/aarch64/$triple/debug/libflb_sidecar.so
# -L for the loader, LD_LIBRARY_PATH for what is loaded later: both must be the same libc.
export FLB_SIDECAR_RUNNER="qemu-aarch64-static -L $root -E LD_LIBRARY_PATH=$root/lib"
export FLB_SIDECAR_CC=$target/aarch64/cc FLUENT_BIT_ONLY=1 FLUENT_BIT_BINARY=$host
# Left out: panics and log_level, whose probe plugin is built for this machine; memory, which is the
# emulator's; the demo Job, which delivers everything and exits with 0, but seconds later than it may
# on real hardware.
kind=test_host
[ -z "$host" ] || kind=real_hosts
cargo test --package flb-sidecar-tests --test scenarios -- several_instances::$kind \
    environment_in_options::$kind unknown_option::$kind rotation::$kind end_by_signal::$kind \
    copies::$kind
