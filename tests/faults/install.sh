#!/bin/sh
# What is installed finds what was installed with it.  Called as: install.sh WOODSHED FIXTURES BUILD BINDIR MANDIR
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

build=$3
root=$scratch/root
run meson install -C "$build" --no-rebuild --quiet --destdir "$root"
check 'installed' status_is 0
woodshed=$root$4/woodshed

run "$woodshed" models
check 'the model that comes with it' grep -q '^starter ' "$scratch/out"
render -s 0.2 -o "$scratch/a.wav" p
check 'renders' succeeds
run "$woodshed" denoise --method df "$scratch/a.wav" "$scratch/b.wav"
check 'the weights of a denoiser' status_is 0
check 'denoises' differ "$scratch/a.wav" "$scratch/b.wav"
check 'the manual' [ -s "$root$5/man1/woodshed.1" ]

done_testing
