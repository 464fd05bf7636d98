#!/usr/bin/env bash
# Runs tests for aarch64 on another machine, under qemu-user:
#   tests/aarch64.sh TOOLS TARGET some            what make test has room for
#   tests/aarch64.sh TOOLS TARGET all             the crates' tests, and the C test host's generations
#   tests/aarch64.sh TOOLS TARGET host HOST       the scenarios on the real host HOST, built for aarch64
#   tests/aarch64.sh TOOLS TARGET panics LIBRARY  panics in a library that has the probes
# Without what it takes, it says SKIPPED.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$1
target=$2
part=$3
file=${4-}

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

# cargo-zigbuild with a command of cargo, and what that takes: perhaps arguments of tests at its end.
zig() {
    local command=$1
    shift
    PATH="$tools/bin:$PATH" CARGO_ZIGBUILD_PYTHON_PATH="$tools/bin/python" \
        cargo-zigbuild "$command" --locked --target $triple.2.17 --target-dir "$target/aarch64" "$@"
}

# Left out of the crates' tests: what starts the test's own program once more, or one of ours, which only a
# kernel of that machine can.
again=(a_file_without_permission_is_read_when_it_has_it few_descriptors_are_enough_and_none_left_is_waited_out
    folders_for_which_no_watch_is_left_are_polled the_status_says_whether_every_file_is_there
    a_host_that_is_not_there_is_named a_folder_is_no_configuration_and_nothing_at_all_is_an_error
    the_first_configuration_that_is_there_is_taken)

# The tests of crates, without hosts of another machine. Here the loader is started instead of the program,
# for with -L qemu leads the root folder itself, which own_file opens, into its own.
crates() {
    echo "aarch64: the tests of $*, without ${again[*]}"
    FLUENT_BIT_ONLY=1 FLUENT_BIT_BINARY= \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -E LD_LIBRARY_PATH=$root/lib $root/lib/ld-linux-aarch64.so.1" \
        zig test --quiet "${@/#/--package=}" --lib --tests -- "${again[@]/#/--skip=}"
}

# Scenarios on hosts. -L is for the loader, LD_LIBRARY_PATH for what is loaded later: both must be the
# same libc.
scenarios() {
    zig build --quiet --package flb-sidecar --lib --bin flb-sidecar-abi
    printf '#!/bin/sh\nexec "%s" -m ziglang cc -target aarch64-linux-gnu "$@"\n' "$tools/bin/python" \
        > "$target/aarch64/cc"
    chmod +x "$target/aarch64/cc"
    FLB_SIDECAR_LIBRARY=$target/aarch64/$triple/debug/libflb_sidecar.so \
    FLB_SIDECAR_RUNNER="qemu-aarch64-static -L $root -E LD_LIBRARY_PATH=$root/lib" \
    FLB_SIDECAR_CC=$target/aarch64/cc FLUENT_BIT_ONLY=1 FLUENT_BIT_BINARY=$host \
        cargo test --package flb-sidecar-tests --test scenarios -- "${@/%/::$kind}"
}

probes() {
    # A library of its own: never in the place of the one without.
    zig build --quiet --package flb-sidecar --lib --features probe
    mkdir -p "$target/aarch64/probe"
    cp "$target/aarch64/$triple/debug/libflb_sidecar.so" "$target/aarch64/probe/"
    export FLB_SIDECAR_PROBE_LIBRARY=$target/aarch64/probe/libflb_sidecar.so
}

host= kind=test_host
# Left out of the scenarios: memory_limit, whose memory is the emulator's.
everything=(demo_job help unknown_option malformed_option option_set_twice environment_in_options several_instances
    log_level copies proxy end_by_signal rotation panics panics_at_init)
case $part in
some)
    crates host_abi flb-sidecar-sdk
    # The newest generation, and one for each way in which layouts or calls of others differ most.
    FLB_SIDECAR_GENERATIONS=1.9.0,2.0.7,2.1.0,3.2.3,5.1.0 scenarios environment_in_options end_by_signal
    ;;
all)
    crates host_abi flb-sidecar-sdk kube_client filter_pii_redact filter_kube_metadata in_sidecar_tail \
        out_completion_exit flb-sidecar
    probes
    scenarios "${everything[@]}"
    ;;
host)
    host=$file kind=real_hosts
    probes
    scenarios "${everything[@]}"
    ;;
panics)
    export FLB_SIDECAR_PROBE_LIBRARY=$file
    scenarios panics panics_at_init
    ;;
*)
    echo "$part is none of some, all, host, panics" >&2
    exit 2
    ;;
esac
