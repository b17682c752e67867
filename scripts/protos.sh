#!/usr/bin/env bash
# Generates the Python stubs of every contract into a folder (default: protos/src).
set -euo pipefail
cd "$(dirname "$0")/.."
out=${1:-protos/src}
bin=${VENV:-.venv}/bin
PATH="$bin:$PATH" "$bin/python" -m grpc_tools.protoc --proto_path=protos \
    --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out" \
    $(cd protos && ls privacyplease/*/v1/*.proto)
