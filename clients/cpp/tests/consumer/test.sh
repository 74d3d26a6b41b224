#!/bin/sh
# Installs the library into a folder, and builds and runs a program that finds it there.
# usage: test.sh BUILD_FOLDER CMAKE CXX_FLAGS
set -e
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$2" --install "$1" --prefix "$place/installed" >/dev/null
"$2" -S "$(dirname "$0")" -B "$place/build" -DCMAKE_PREFIX_PATH="$place/installed" \
    -DCMAKE_CXX_FLAGS="$3" >/dev/null
"$2" --build "$place/build"
"$place/build/consumer"
