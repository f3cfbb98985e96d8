#!/bin/sh
# What the workstation plays, on a sound server: loops, the denoised twin, two on one
# clock, the next take and jumps, sample by sample.
# Called as: TEST WOODSHED FIXTURES PROGRAM
# shellcheck source=tests/audio/common.sh
. "$(dirname "$0")/common.sh"

dir=$scratch/files
program=$3
mkdir "$dir" || exit 99
python3 "$here/segments.py" make "$dir/dry.wav" 96000 1 1 || exit 99
python3 "$here/segments.py" make "$dir/wet.wav" 96000 1 0.5 || exit 99
python3 "$here/segments.py" make "$dir/next.wav" 31415 2 1 || exit 99

# heard SCENARIO FILE [OTHER]: a machine that is busy with something else may drop a
# buffer; a fault of ours comes each time.
heard()
{
	for _ in 1 2 3; do
		record "$program" "$@"
		succeeds || return 1
		! python3 "$here/segments.py" "$1" "$scratch/heard.raw" "$2" ${3:+"$3"} || return 0
	done
	return 1
}

start_server
check 'a loop is exact to the sample' heard loop "$dir/dry.wav"
check 'the denoised twin at the same position, and back' heard twin "$dir/dry.wav" "$dir/wet.wav"
check 'A/B: the other at the same position, to the frame, and back' heard swap "$dir/dry.wav" "$dir/wet.wav"
check 'the next one without a gap' heard next "$dir/dry.wav" "$dir/next.wav"
check 'a jump' heard seek "$dir/dry.wav"
run "$program" device "$dir/dry.wav"
check 'a device that is not there is told, and plays on another' succeeds
end_server
done_testing
