#!/bin/sh
# Exports: full disks, folders that may not be written, many files, wrong words.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

model=$fixtures/mono
dir=$scratch/files
mkdir "$dir" "$dir/out" && cd "$dir" || exit 99

exports()
{
	run "$woodshed" export "$@"
}

render -m "$model" -s 1 --seed 7 -o take.wav 'slow: piano / duet?'
exports take.wav out
check 'a file' succeeds
check 'its name' holds_only out 'slow_ piano _ duet_ mono 7 take.wav'
check 'its line and the sum' [ "$(wc -l <"$scratch/out")" = 2 ]
check 'its samples' same_samples take.wav out/*take.wav
run "$woodshed" recipe --verify -m "$model" out/*take.wav
check 'can be verified' status_is 0
exports --format flac take.wav out --json
check 'JSON is what the manual says' python3 -c '
import json, sys
one, total = [json.loads(line) for line in open(sys.argv[1])]
assert one["type"] == "export" and one["source"] == "take.wav" and one["gain_db"] == 0, one
assert one["rate"] == 32000 and one["channels"] == 1 and one["frames"] == 32000, one
assert one["file"].endswith(" take.flac") and one["lufs"] == one["lufs_before"], one
assert total == {"type": "summary", "written": 1, "failed": 0, "bytes": one["bytes"]}, total
' "$scratch/out"
run "$woodshed" recipe out/*.flac
check 'FLAC holds the recipe' grep -q '"prompt": "slow: piano / duet?".*"export": "dithered"' "$scratch/out"
run "$woodshed" recipe --verify -m "$model" out/*.flac
check 'which says that it cannot be verified' fails_with 1 'was changed when it was exported (dithered)'
exports --name '{take}' --lufs -30 --peak -2 --trim -50 --fade-in 0.1 --fade-out .2 --rate 48000 \
	--format flac24 --denoise none take.wav out
check 'all options' succeeds
check 'tell the loudness' grep -q 'out/take.flac .* 48000 Hz  -30.0 LUFS .* gain [-+][0-9.]* dB' "$scratch/out"
rm -r out/*

# Through the denoiser, which is another process.
for how in wiener ss df; do
	run "$woodshed" denoise --quiet --method $how take.wav wet.wav
	check "$how" succeeds
	exports --quiet --name '{take}' --denoise $how take.wav out
	check "$how: exported" succeeds
	check "$how: as the verb does it" same_samples wet.wav out/take.wav
	check "$how: nothing else is left" holds_only out take.wav
	run "$woodshed" recipe out/take.wav
	check "$how: the recipe tells" grep -q "denoised ($how, mix 1)" "$scratch/out"
	rm wet.wav out/*
done
exports --name '{take}' --denoise df:0 take.wav out
check 'mix 0' succeeds
check 'changes nothing' same_samples take.wav out/take.wav
rm out/*
exports --name '{take}' --denoise wiener:0.5 --format flac --rate 48000 --lufs -30 take.wav out
check 'with all that follows' grep -q 'out/take.flac .* 48000 Hz  -30.0 LUFS' "$scratch/out"
rm out/*
echo 'no audio, but a text that is long enough to be looked at' >text.wav
exports --denoise wiener text.wav out
check 'no audio is refused' status_is 1
check 'and leaves nothing' holds_only out
rm text.wav

# The same file again and again; nothing is overwritten.
echo old >out/take.wav
for i in 1 2 3; do
	exports --name '{take}' take.wav out
done
check 'names give way' holds_only out 'take (2).wav' 'take (3).wav' 'take (4).wav' take.wav
check 'what was there stays' grep -q old out/take.wav
check 'the same bytes' same 'out/take (2).wav' 'out/take (4).wav'
exports --name '{take}' take.wav .
check 'not even the source' holds_only . out 'take (2).wav' take.wav
rm -r out/* 'take (2).wav'
for i in 1 2 3 4; do
	"$woodshed" export --name x take.wav take.wav take.wav take.wav take.wav out >/dev/null 2>&1 &
done
wait
check 'four at once' [ "$(find out -type f | wc -l)" = 20 ]
check 'all whole' [ "$(cksum out/* | cut -d ' ' -f 1,2 | sort -u | wc -l)" = 1 ]
rm -r out/*

# Many files, of which some cannot be: the others are.
for i in $(seq 70); do
	cp take.wav "s$i.wav"
done
head -c 30 take.wav >cut.wav
echo text >text.wav
mkfifo pipe.wav
exports --name '{take}' s*.wav out
check 'seventy files' succeeds
check 'are there' [ "$(find out -name 's*.wav' | wc -l)" = 70 ]
rm -r out/*
exports --name '{take}' s1.wav cut.wav text.wav pipe.wav none.wav out/ s2.wav out
check 'one that fails does not stop the others' holds_only out s1.wav s2.wav
check 'a line for each' [ "$(grep -c '^woodshed: ' "$scratch/err")" = 5 ]
check 'the sum' grep -q '^2 of 7 files written' "$scratch/out"
check 'a failure' status_is 1
rm -f s[0-9]*.wav cut.wav text.wav pipe.wav
rm -r out/*
render -m "$model" -s 1 --seed 7 -o take.wav 'slow piano'

# A licence that forbids commercial use.
cp -r "$model" musicgen-tiny
render -m ./musicgen-tiny -s 0.3 -o nc.wav p
exports nc.wav nc.wav out
check 'a warning, once' says 'what musicgen-tiny makes is not for commercial use: CC-BY-NC-4.0'
check 'and success' status_is 0
check 'the file says so, too' grep -q 'CC-BY-NC-4.0' out/*nc.wav
run "$woodshed" --quiet export nc.wav out
check 'not with --quiet' succeeds
rm -rf out/* musicgen-tiny nc.wav

# wrong STATUS WORDS ARGUMENTS...
wrong()
{
	want=$1
	words=$2
	shift 2
	exports "$@"
	check "export $*" fails_with "$want" "$words"
}
wrong 2 'export takes files and a folder'
wrong 2 'export takes files and a folder' take.wav
wrong 1 'it is no folder' take.wav take.wav
wrong 1 'make it first' take.wav none
wrong 2 '--format takes float|pcm24|pcm16|flac|flac24' --format mp3 take.wav out
wrong 2 '--denoise takes none|ss|wiener|df' --denoise x take.wav out
wrong 2 '--denoise takes none|ss|wiener|df' --denoise wiener:2 take.wav out
wrong 2 '--denoise takes none|ss|wiener|df' --denoise wiener: take.wav out
wrong 2 '--peak belongs to --lufs' --peak -1 take.wav out
wrong 2 '--lufs takes a number from -70 to -1' --lufs 3 take.wav out
wrong 2 '--peak takes a number' --lufs -14 --peak 1 take.wav out
wrong 2 '--trim takes a number' --trim 60 take.wav out
wrong 2 '--fade-in takes a number' --fade-in -1 take.wav out
wrong 2 '--fade-out takes a number' --fade-out x take.wav out
wrong 2 '--rate takes a whole number' --rate 1 take.wav out
wrong 2 'which is none of {prompt}, {model}, {seed}, {take}, {date}' --name '{title}' take.wav out
wrong 2 'names a file, not a folder' --name 'a/{seed}' take.wav out
wrong 2 'did you mean --format?' --formta flac take.wav out
check 'nothing was written' holds_only out
exports --fade-in 20 take.wav out
check 'fades that are too long' says 'shorten them'
check 'are a failure' status_is 1
exports --trim -1 --name x take.wav out
check 'trimming is checked' [ "$status" -le 1 ]
rm -rf out/*

# A folder that may not be written; for root, too, when it is read-only.
if mkdir full && mount -t tmpfs -o size=200k tmpfs full 2>/dev/null; then
	mounted=$dir/full
	exports --name '{take}' take.wav take.wav take.wav full
	check 'a disk that fills up' [ "$status" = 1 ]
	check 'is told' grep -q 'No space left on device; free some space there' "$scratch/err"
	check 'what fits is whole' same full/take.wav "$dir/take.wav"
	check 'the rest is not there' holds_only full take.wav
	exports --name '{take}' --format flac24 take.wav take.wav take.wav full
	check 'FLAC on a full disk' grep -q 'No space left on device; free some space there' "$scratch/err"
	check 'leaves no half of a file' [ "$(find full -name '*.tmp' | wc -l)" = 0 ]
	mount -o remount,ro full
	exports take.wav full
	check 'a read-only disk' grep -q 'Read-only file system' "$scratch/err"
	umount full
	mounted=''
else
	skip 'a disk that fills up' 'cannot mount a small tmpfs here (needs root)'
fi
# shellcheck disable=SC2016
run sh -c 'ulimit -f 16; exec "$@"' sh "$woodshed" export take.wav out
check 'a file size limit' grep -q 'raise the limit' "$scratch/err"
check 'leaves nothing' holds_only out

# A source that ends early: what there is is exported, and nobody is told that it is all.
render -m "$model" -s 3 -o whole.wav p
head -c $((44 + $(stat -c %s whole.wav) / 3)) whole.wav >short.wav
exports --name '{take}' short.wav out
check 'a file that ends early' status_is 0
check 'is told' says "'short.wav' is damaged: the file lacks "
check 'by its recipe, too' sh -c "'$woodshed' recipe out/short.wav | grep -q '[0-9.]* s were missing'"
exports --name '{take} dn' --denoise ss short.wav out
check 'also where it is denoised, and once' \
	[ "$(grep -c "'short.wav' is damaged: the file lacks 2 s" "$scratch/err")" = 1 ]
exports --name '{take} whole' whole.wav out
check 'a whole one is not' [ ! -s "$scratch/err" ]
rm out/*

# Stopped in the middle: nothing half is left.  The first is short, so that what is stopped
# is one of those that take long.
render -m "$model" -s 30 -o long.wav p
mkfifo "$scratch/lines"
"$woodshed" export --rate 192000 --lufs -20 --name '{take}' take.wav long.wav long.wav long.wav out \
	>"$scratch/lines" 2>"$scratch/err" &
job=$!
exec 9<"$scratch/lines"
read -r line <&9 # the first is written
check 'the first of several is told at once' [ -n "$line" ]
kill -TERM "$job"
status=0
wait "$job" || status=$?
exec 9<&-
check 'stopped by a signal' status_is 143
check 'no half of a file is left' [ "$(find out -name '*.tmp' | wc -l)" = 0 ]
check 'what was complete stays' [ -s out/take.wav ]

# Names from files do not reach the terminal as they are.
escape=$(printf '\033[31mred\r')
exports "$escape" out
check 'a hostile name' grep -qF '?[31mred?' "$scratch/err"
status=0
"$woodshed" export take.wav out >/dev/full 2>"$scratch/err" || status=$?
check 'a full standard output is told' says 'cannot write to standard output'
check 'and a failure' status_is 1
done_testing
