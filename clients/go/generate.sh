#!/bin/sh
# Generates blackboxamv1 from the protos, into this folder or into the folder of the argument.
set -eu
cd "$(dirname "$0")"
protos=${PROTOS:-../../protos}
out=${1:-.}
rm -rf "$out/blackboxamv1"
mkdir -p "$out"
files=$(cd "$protos" && ls blackbox_am/v1/*.proto | grep -v open_inference)
# shellcheck disable=SC2086  # one word for each file
protoc -I "$protos" \
    --go_out="$out" --go_opt=module=blackbox-am/clients/go \
    --go-grpc_out="$out" --go-grpc_opt=module=blackbox-am/clients/go \
    $files
# The version of protoc changes nothing else in these files.
sed -i '/^\/\/ \tprotoc  */d' "$out"/blackboxamv1/*.go
