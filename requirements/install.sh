#!/bin/sh
# Create .venv and install one hash-pinned requirement set into it: uv when it is there, pip otherwise.
# usage: requirements/install.sh requirements/base.txt
# spark.txt goes into a .venv that has base.txt: pyspark comes as source only and is built with the pinned setuptools.
set -eu
set_file=$1
stamp=.venv/.installed-$(basename "$set_file" .txt)
find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11 or newer was not found; install it or set PYTHON=/path/to/python3" >&2
    exit 2
}
python=$(find_python)
if [ ! -x .venv/bin/python ]; then
    if ! "$python" -m venv --without-pip .venv >/dev/null 2>&1; then
        echo "$python cannot make a virtual environment; install its venv module (Debian: python3-venv)" >&2
        exit 2
    fi
fi
source_only=""
[ "$(basename "$set_file")" != spark.txt ] || source_only="--no-binary pyspark --no-build-isolation"
# shellcheck disable=SC2086
if uv --version >/dev/null 2>&1; then
    uv pip install --quiet --python .venv/bin/python --require-hashes --only-binary :all: $source_only \
        -r "$set_file"
else
    .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --only-binary :all: $source_only -r "$set_file"
fi
touch "$stamp"
