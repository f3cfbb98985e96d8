#!/bin/sh
# Random keys, clicks and sizes; afterwards the library is whole.
#	fuzz.sh WOODSHED MAKE-LIBRARY FUZZ-KEYS KEYS SIZES [SEED]
# shellcheck disable=SC2317 # functions are called by check
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/../faults/common.sh"
make_library=$(realpath "$2")
fuzz_keys=$(realpath "$3")
n_keys=$4
n_sizes=$5
seed=${6:-1}
export LC_ALL=C.UTF-8 HOME="$scratch/home" XDG_RUNTIME_DIR="$scratch/run" TERM=xterm-256color
export XDG_CONFIG_HOME="$scratch/config" XDG_STATE_HOME="$scratch/state" SHELL=/bin/true
export JACK_NO_START_SERVER=1
unset COLORTERM TMUX DISPLAY PULSE_SERVER
mkdir -p "$scratch/home" "$scratch/run" "$scratch/bin"
# Alone: without woodshed-engine beside it nothing is rendered.
cp "$woodshed" "$scratch/bin/woodshed"
"$make_library" "$WOODSHED_LIBRARY" full || finish 99
for options in ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS; do
	eval "export $options=\"\${$options:+\$$options:}log_path=$scratch/sanitizer\""
done
# What ALSA loads to look for a device it unloads with what that allocated.
ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0
cd "$scratch" || exit 99

# fuzz keys|sizes N
fuzz()
{
	run "$fuzz_keys" "$1" "$2" "$seed" "$scratch/bin/woodshed"
	sed 's/^/# /' "$scratch/out"
	[ "$status" = 0 ] && return
	cat "$scratch"/sanitizer.* 2>/dev/null | head -n 60 | sed 's/^/# /'
	return 1
}

check "$n_sizes sizes from 1x1 to 250x80" fuzz sizes "$n_sizes"
check "$n_keys keys and clicks, seed $seed" fuzz keys "$n_keys"
check 'the library is whole' "$make_library" "$WOODSHED_LIBRARY" verify
done_testing
