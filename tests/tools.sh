#!/usr/bin/env bash
# Installs the tools of tools.txt into a folder of their own:
#   tests/tools.sh FOLDER
# cargo-zigbuild and zig link against an old glibc; hadolint and kubernetes-validate check files.
set -euo pipefail
folder=$1
list=$(dirname "$0")/tools.txt

cmp -s "$list" "$folder/tools.txt" && exit 0
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
cp "$list" "$folder/tools.txt"
