#!/bin/sh
# A disk that is full from the start, that fills up, that is read-only.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

model=$fixtures/mono
dir=$scratch/disk
mkdir "$dir"
mount -t tmpfs -o size=512k tmpfs "$dir" 2>/dev/null ||
	skip_all 'cannot mount a small tmpfs here (needs root)'
mounted=$dir

render -m "$model" -s 60 -o "$dir/x.wav" p
check 'what cannot fit is refused' fails_with 1 'free some or choose another folder'
check 'before the model is loaded' holds_only "$dir"
render -m "$model" -s 60 -o "$dir/x.wav" --json p
check 'and before progress is told' [ ! -s "$scratch/out" ]

# The model's own length is not known before it is loaded.
render -m "$model" -n 8 -o "$dir/x.wav" p
check 'a disk that fills up' fails_with 1 'No space left on device'
check 'is left as it was' holds_only "$dir"

echo old >"$dir/x.wav"
render -m "$model" -n 8 -o "$dir/x.wav" p
check 'an old file stays' [ "$(cat "$dir/x.wav")" = old ]
rm "$dir/x.wav"
render -m "$model" -s 0.1 -o "$dir/x.wav" p
check 'what fits is written' succeeds

mount -o remount,ro "$dir"
render -m "$model" -s 0.1 -o "$dir/y.wav" p
check 'a read-only disk' fails_with 1 'Read-only file system'
run "$woodshed" --library "$dir" render -m "$model" -s 0.1 p
check 'a read-only library' fails_with 1 'Read-only file system'
umount "$dir"

# A library on such a disk: a job fails with the cause, the library stays whole,
# and the job goes on where it stopped when there is room again.
mount -t tmpfs -o size=12m tmpfs "$dir"
mkdir "$dir/models" && cp -r "$model" "$dir/models/tiny"
run "$woodshed" --library "$dir" queue -m tiny -s 5 --seed 1 p
check 'a job' succeeds
# What is left is less than the file and the worker's margin need.
head -c 4000000 /dev/zero >"$dir/ballast"
run "$woodshed" --library "$dir" worker
check 'without room' status_is 0
run "$woodshed" --library "$dir" jobs
check 'fails with the cause' grep -q 'free some\|No space left' "$scratch/out"
rm "$dir/ballast"
run "$woodshed" --library "$dir" retry 1
check 'is queued again' succeeds
run "$woodshed" --library "$dir" worker
check 'with room' status_is 0
run "$woodshed" --library "$dir" takes
check 'it is done' [ "$(wc -l <"$scratch/out")" = 1 ]
run "$woodshed" --library "$dir" doctor --repair
check 'and the library is sound' grep -q '^database  *sound$' "$scratch/out"
umount "$dir"
mounted=''
done_testing
