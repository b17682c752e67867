#!/usr/bin/env bash
# Fails if a contract breaks what the last released version of it promises. Without a release there is nothing to break.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=${VENV:-.venv}/bin
if ! tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null); then
    echo "buf breaking: no tag to compare with" >&2
    exit 0
fi
"$bin/buf" breaking protos --against "$(git rev-parse --path-format=absolute --git-common-dir)#format=git,tag=$tag,subdir=protos"
