#!/bin/sh
# Builds the reaper. The results are committed, so that building vsl needs no C
# compiler; arm64 is rebuilt where clang and binutils for it are installed.
set -eu
cd "$(dirname "$0")"
cflags="-std=gnu11 -Os -Wall -Wextra -ffreestanding -fno-builtin -fno-stack-protector -fno-pic
	-fno-asynchronous-unwind-tables"
ldflags="-static -z noseparate-code -z noexecstack -z norelro --build-id=none -s"
obj=$(mktemp)
trap 'rm -f "$obj"' EXIT

# shellcheck disable=SC2086
{
	gcc $cflags -fcf-protection=none -c -o "$obj" reaper.c
	ld $ldflags -z max-page-size=4096 -o reaper_amd64.elf "$obj"
	if command -v aarch64-linux-gnu-ld >/dev/null && command -v clang >/dev/null; then
		clang --target=aarch64-linux-gnu $cflags -c -o "$obj" reaper.c
		aarch64-linux-gnu-ld $ldflags -z max-page-size=65536 -o reaper_arm64.elf "$obj"
	else
		echo "no clang or aarch64-linux-gnu-ld: reaper_arm64.elf stays as it is" >&2
	fi
}
chmod 644 ./*.elf
