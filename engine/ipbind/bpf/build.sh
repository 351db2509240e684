#!/bin/sh
# Compiles the BPF programs; the objects are committed, so that building vsl
# needs no clang. Run by `go generate ./engine/ipbind`. The committed objects
# come from Debian's clang-14 and libbpf-dev 1.1; other versions give other
# bytes of the same meaning.
set -eu
cd "$(dirname "$0")"
for name in "$@"; do
	# Only CO-RE needs BTF, which -g makes and stripping keeps.
	debug=-g0
	if grep -q bpf_core_read.h "$name.bpf.c"; then
		debug=-g
	fi
	"${CLANG:-clang-14}" $debug -O2 -Wall -Werror -target bpfel -mcpu=v3 \
		-fno-ident -ffile-prefix-map="$PWD=." -I/usr/include/x86_64-linux-gnu \
		-c "$name.bpf.c" -o "$name.o"
	"${LLVM_STRIP:-llvm-strip-14}" -g -x "$name.o"
done
