#!/bin/sh
# Builds the benchmark and runs it in mount and network namespaces of its own:
# whatever it mounts or binds goes with it. Arguments are passed on (-help).
set -eu
top=$(cd ../.. && pwd)
[ "$(id -u)" = 0 ] || { echo "bench: needs root" >&2; exit 1; }
out=$(mktemp -d "${TMPDIR:-/tmp}/vsl-bench.XXXXXX")
trap 'rm -rf "$out"' EXIT INT TERM
export CGO_ENABLED=0
go build -o "$out/bench" .
go build -trimpath -ldflags '-s -w' -o "$out/empty" ./empty
go build -trimpath -ldflags '-s -w' -o "$out/work" ./work
if command -v gcc >/dev/null; then
	gcc -O2 -Wall -static -o "$out/bootc" c/bootc.c
fi
"$out/bench" -fetch
unshare -m -n "$out/bench" -vsl "$top/bin/vsl" -dir "$out" "$@"
