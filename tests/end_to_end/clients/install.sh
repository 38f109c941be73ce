#!/usr/bin/env bash
# An environment for each client below DIR, made once for each change of its versions. `install.sh PYTHON DIR`
# `ready` is written last: an environment that is half made is made again.
set -euo pipefail
PYTHON="$1"
DIR="$2"
HERE="$(cd "$(dirname "$0")" && pwd)"

fresh() { [[ -f "$DIR/$1/ready" ]] && cmp -s "$DIR/$1/ready" "$HERE/$2"; }

for name in pynamodb aiodynamo; do
    fresh "$name" "$name.txt" && continue
    echo "$name: an environment of its own"
    rm -rf "${DIR:?}/$name"
    "$PYTHON" -m venv "$DIR/$name"
    "$DIR/$name/bin/python" -m pip install --quiet --disable-pip-version-check -r "$HERE/$name.txt"
    cp "$HERE/$name.txt" "$DIR/$name/ready"
done

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "the AWS SDK for JavaScript is left out: node and npm are not installed (Debian: apt-get install nodejs npm)" >&2
elif ! fresh javascript package.json; then
    echo "javascript: an environment of its own"
    rm -rf "${DIR:?}/javascript"
    mkdir -p "$DIR/javascript"
    cp "$HERE/package.json" "$DIR/javascript/package.json"
    npm install --silent --no-audit --no-fund --prefix "$DIR/javascript"
    cp "$HERE/package.json" "$DIR/javascript/ready"
fi
