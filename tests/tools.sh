#!/usr/bin/env bash
# Installs the tools of tools.txt and, where npm is, of tools-npm.txt into a folder of their own:
#   tests/tools.sh FOLDER
# cargo-zigbuild and zig link against an old glibc; the others check files. What only checks may be
# missing: its tests then say SKIPPED.
set -euo pipefail
folder=$1
here=$(dirname "$0")
list=$here/tools.txt

cat "$0" "$list" "$here/tools-npm.txt" | cmp -s - "$folder/installed" && exit 0
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
    else
        echo "please install: python3-venv" >&2
        exit 1
    fi
fi
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"

# promtool alone: Debian's package would start a server.
if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    mkdir "$folder/deb"
    (
        cd "$folder/deb"
        apt-get -qq download prometheus || { [ "$(id -u)" -eq 0 ] && apt-get -qq update && apt-get -qq download prometheus; }
        dpkg-deb -x prometheus_*.deb . && cp usr/bin/promtool ../bin/
    ) >/dev/null 2>&1 || echo "no promtool from Debian's package prometheus" >&2
    rm -rf "$folder/deb"
fi
if command -v npm >/dev/null; then
    mapfile -t packages < <(grep -v '^#' "$here/tools-npm.txt")
    npm install --silent --no-audit --no-fund --prefix "$folder/node" "${packages[@]}" >/dev/null 2>&1 ||
        echo "no packages from npm" >&2
fi
cat "$0" "$list" "$here/tools-npm.txt" > "$folder/installed"
