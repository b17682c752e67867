#!/usr/bin/env bash
# Fails if the committed stubs differ from those generated from the contracts.
set -euo pipefail
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
scripts/protos.sh "$fresh" 2>/dev/null
if ! diff --recursive --brief --exclude=__init__.py --exclude=py.typed --exclude=__pycache__ "$fresh" protos/src; then
    echo "error: the committed stubs are out of date" >&2
    echo "hint: make protos" >&2
    exit 1
fi
