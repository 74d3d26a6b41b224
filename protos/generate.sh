#!/bin/sh
# Generates blackbox_am/v1 from the .proto files; with --check only compares.
# PYTHON must have grpcio-tools and mypy-protobuf: `make protos` and `make check` see to it.
set -eu

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
PATH="$(cd "$(dirname "$python")" && pwd):$PATH" # protoc looks for protoc-gen-mypy there
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

"$python" -m grpc_tools.protoc -I protos \
    --python_out="$new" --grpc_python_out="$new" \
    --mypy_out=quiet:"$new" --mypy_grpc_out=quiet:"$new" \
    protos/blackbox_am/v1/*.proto

if [ "${1:-}" = --check ]; then
    if ! diff -r -x __init__.py -x __pycache__ "$new/blackbox_am/v1" blackbox_am/v1; then
        echo "error: blackbox_am/v1 is not what the .proto files give; run: make protos" >&2
        exit 1
    fi
else
    rm -f blackbox_am/v1/*_pb2*.py blackbox_am/v1/*_pb2*.pyi
    cp "$new"/blackbox_am/v1/* blackbox_am/v1/
fi
