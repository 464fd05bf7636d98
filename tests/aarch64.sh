#!/usr/bin/env bash
# Runs tests for aarch64 on another machine, under qemu-user:
#   tests/aarch64.sh TOOLS TARGET [HOST]
# Without HOST the crates' tests and scenarios of the C test host's generations; with it scenarios of
# that real host, which must be built for aarch64. Without what it takes, it says SKIPPED.
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
loader=$root/lib/ld-linux-aarch64.so.1
if ! command -v qemu-aarch64-static >/dev/null || [ ! -e $loader ] || [ ! -e $root/lib/libgcc_s.so.1 ]; then
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

# Programs of ours name the loader of $root themselves. With -L the emulator would take $root for /, and
# what walks a path from there would not find /tmp. What is loaded later must be of the same libc.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C link-arg=-Wl,--dynamic-linker=$loader"
runner="qemu-aarch64-static -E LD_LIBRARY_PATH=$root/lib"
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$runner
export CARGO_ZIGBUILD_PYTHON_PATH="$tools/bin/python"
zig() {
    local command=$1
    shift
    PATH="$tools/bin:$PATH" cargo-zigbuild "$command" --quiet --locked --target $triple.2.17 \
        --target-dir "$target/aarch64" "$@"
}
zig zigbuild --package flb-sidecar --lib --bin flb-sidecar-abi

if [ -z "$host" ]; then
    # Left out by name: what measures memory or time, what starts itself again (the emulator is what it
    # would start), what plays for minutes, and what needs hosts of this machine.
    packages=(host_abi flb-sidecar-sdk kube_client in_sidecar_tail filter_pii_redact filter_kube_metadata
        out_completion_exit flb-sidecar)
    # What is left out is said; FLUENT_BIT_ONLY: no host of this machine.
    skipped=(sim:: a_known_day_changes_nothing catalogue_tests::every_token catalogue_tests::the_gate
        drain::tests::an_empty_host drain::tests::exits_once report::tests::the_report_always_fits
        api::server_tests::)
    echo "aarch64: left out of the crates' tests: ${skipped[*]}, and every file below tests/"
    FLUENT_BIT_ONLY=1 FLUENT_BIT_BINARY='' zig test --lib "${packages[@]/#/--package=}" -- "${skipped[@]/#/--skip=}"
fi

printf '#!/bin/sh\nexec "%s" -m ziglang cc -target aarch64-linux-gnu -Wl,--dynamic-linker=%s "$@"\n' \
    "$tools/bin/python" $loader > "$target/aarch64/cc"
chmod +x "$target/aarch64/cc"
export FLB_SIDECAR_LIBRARY=$target/aarch64/$triple/debug/libflb_sidecar.so
export FLB_SIDECAR_CC=$target/aarch64/cc FLUENT_BIT_ONLY=1 FLUENT_BIT_BINARY=$host
kind=test_host
if [ -n "$host" ]; then
    # A host that was built elsewhere asks for /lib/ld-linux-aarch64.so.1.
    kind=real_hosts runner="$runner -L $root"
fi
export FLB_SIDECAR_RUNNER=$runner
# Left out: panics and log_level, whose probe plugin is built for this machine; memory, which is the
# emulator's; the demo Job, which delivers everything and exits with 0, but seconds later than it may
# on real hardware.
cargo test --package flb-sidecar-tests --test scenarios -- several_instances::$kind \
    environment_in_options::$kind unknown_option::$kind rotation::$kind end_by_signal::$kind \
    copies::$kind
