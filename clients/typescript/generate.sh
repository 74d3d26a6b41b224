#!/bin/sh
# Generates src/gen from the protos with the plug-in of `npm ci` and any protoc; with --check it only
# compares, and fails where src/gen is stale.
set -eu
cd "$(dirname "$0")"
protos=${PROTOS:-../../protos}
if ! command -v protoc > /dev/null; then
    echo "protoc is missing (package protobuf-compiler): src/gen is not compared or generated" >&2
    test "${1:-}" = --check
    exit
fi
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT
files=$(cd "$protos" && ls blackbox_am/v1/*.proto | grep -v open_inference)
# shellcheck disable=SC2086  # one word for each file
protoc -I "$protos" --plugin=node_modules/.bin/protoc-gen-es \
    --es_out="$new" --es_opt=target=ts,import_extension=js \
    $files google/rpc/error_details.proto google/rpc/status.proto grpc/health/v1/health.proto
if [ "${1:-}" = --check ]; then
    diff -rq "$new" src/gen || { echo "src/gen is stale; run: npm run generate" >&2; exit 1; }
else
    rm -rf src/gen
    mkdir -p src
    cp -r "$new" src/gen
fi
