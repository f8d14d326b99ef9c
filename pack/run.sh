#!/bin/sh
# Runs the steps of this pack on the machine at hand; `./run.sh --help` lists them. It needs Python 3.8 or later, without packages.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
python=${PACK_PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
    echo "run.sh: \`$python\` is no Python 3.8 or later: install one, or name another in the variable PACK_PYTHON" >&2
    exit 2
fi
exec "$python" "$here/python/run.py" "$@"
