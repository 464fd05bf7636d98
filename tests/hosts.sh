#!/usr/bin/env bash
# Real hosts for the tests, out of official images:
#   tests/hosts.sh FOLDER IMAGE...
# Each lands in FOLDER/fluent-bit-VERSION, where the tests look if FOLDER is /opt: the image's files, and
# its program, which is told to take the image's loader and libraries instead of the system's.
# A folder with an image's files may stand for an image.
set -euo pipefail
folder=$1
shift
patchelf=$(dirname "$0")/../target/tools/bin/patchelf
[ -x "$patchelf" ] || patchelf=patchelf

for image in "$@"; do
    place=$(mktemp -d "$folder/.fluent-bit.XXXXXX")
    mkdir "$place/root" "$place/bin"
    if [ -d "$image" ]; then
        cp -a "$image/." "$place/root"
    else
        container=$(docker create "$image")
        # Devices cannot be made without root, and are not needed.
        docker export "$container" | tar -x -C "$place/root" --exclude='dev/*'
        docker rm "$container" >/dev/null
    fi
    root=$place/root
    loader=$(find "$root/lib64/" "$root/usr/lib64/" "$root/lib/" -name 'ld-linux-*.so.*' -print -quit 2>/dev/null)
    # Where the image's loader would look.
    paths=$(find "$root" -name '*.so*' -printf '%h\n' | sort -u)
    program=$place/bin/fluent-bit
    cp -L "$root/fluent-bit/bin/fluent-bit" "$program"
    finish() { # FINAL: the paths as they are after the move
        "$patchelf" --set-interpreter "$1/root${loader#"$root"}" --force-rpath \
            --set-rpath "$(sed "s|^$root|$1/root|" <<<"$paths" | paste -sd:)" "$program"
    }
    finish "$place"
    version=$("$program" --version | sed -n 's/^Fluent Bit v//p')
    final=$folder/fluent-bit-$version
    rm -rf "$final"
    finish "$final"
    mv "$place" "$final"
    chmod 755 "$final"
    echo "$image: Fluent Bit $version in $final"
done
