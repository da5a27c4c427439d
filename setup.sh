#!/bin/sh
# Makes .venv with everything that demo, tests and lint need. First it makes sure of what pip cannot bring: Python 3.11 or
# newer with venv, a C compiler, Python's and libgmp's headers (py-libp2p's fastecdsa is compiled against them).
set -eu
cd "$(dirname "$0")"

say() { printf '%s\n' "$*" >&2; }

for candidate in "${PYTHON:-python3.11}" python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 &&
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "${python:-}" ]; then
    say "Hallmark needs Python 3.11 or newer, and none was found."
    say "  Debian, Ubuntu: sudo apt-get install python3.11 python3.11-venv    macOS: brew install python@3.11"
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# Compiling one line is the only honest test that a compiler and headers are there.
headers() {
    probe=$(mktemp -d)
    printf '#include <gmp.h>\n#include <Python.h>\nint main(void) { return 0; }\n' >"$probe/probe.c"
    include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
    result=0
    ${CC:-cc} -I"$include" -c "$probe/probe.c" -o "$probe/probe.o" >/dev/null 2>&1 || result=1
    rm -rf "$probe"
    return $result
}
venv() { "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; }

if ! headers || ! venv; then
    packages="gcc libc6-dev libgmp-dev"
    # Python's own packages only where Python is the system's
    case $(command -v "$python") in /usr/bin/*) packages="$packages python$version-dev python$version-venv" ;; esac
    if command -v apt-get >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; else as_root=no; fi
        if [ "$as_root" != no ]; then
            say "Installing system packages: $packages"
            $as_root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq $packages >/dev/null
        fi
    fi
    if ! headers || ! venv; then
        say "A C compiler, Python's headers or libgmp's headers are missing, and they could not be installed from here. Run:"
        if command -v apt-get >/dev/null 2>&1; then say "  sudo apt-get install $packages"
        elif command -v dnf >/dev/null 2>&1; then say "  sudo dnf install gcc gmp-devel python3-devel"
        elif command -v brew >/dev/null 2>&1; then say "  xcode-select --install; brew install gmp"
        else say "  your package manager, for: a C compiler, gmp.h, Python.h"; fi
        say "then run make again."
        exit 1
    fi
fi

[ -x .venv/bin/python ] && .venv/bin/python -c 'import sys' 2>/dev/null || { rm -rf .venv; "$python" -m venv .venv; }
say "Installing Hallmark and its libraries into .venv (about a minute the first time) …"
started=$(date +%s)
.venv/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[cpu,demo,oracle,zk,dev]' &&
    .venv/bin/python -c 'import libp2p, onnxruntime, magika, pytest, mypy, node' || {
    say "The libraries did not install; the lines above say why. Mend that and run make again."
    exit 1
}
touch .venv/ready
say "Installed in $(($(date +%s) - started)) s."
