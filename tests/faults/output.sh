#!/bin/sh
# What is written where, and what is not.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

model=$fixtures/mono
dir=$scratch/files
mkdir "$dir" && cd "$dir" || exit 99

# The same request is the same file, whatever runs it.
render -m "$model" -s 2 --seed 7 -o a.wav p
check 'a file' succeeds
render -m "$model" -s 2 --seed 7 -o b.wav p
check 'the same seed gives the same bytes' same a.wav b.wav
for threads in 1 2 3; do
	render -m "$model" -s 2 --seed 7 --threads "$threads" -o b.wav p
	check "$threads threads give the same bytes" same a.wav b.wav
done
render -m "$model" -s 2 --seed 8 -o b.wav p
check 'another seed gives other bytes' differ a.wav b.wav
rm -f ./*

# Guidance when none is asked for: what the model says, if it says anything.
cp -r "$model" quiet
sed -i '/guidance_scale/d' quiet/generation_config.json
render -m "$model" -s 0.2 --greedy -o a.wav p
render -m "$model" -s 0.2 --greedy --cfg 3 -o b.wav p
check 'the guidance of generation_config.json' same_samples a.wav b.wav
render -m ./quiet -s 0.2 --greedy -o a.wav p
render -m ./quiet -s 0.2 --greedy --cfg 1 -o b.wav p
check 'none where it is silent' same_samples a.wav b.wav
rm quiet/generation_config.json
render -m ./quiet -s 0.2 --greedy -o a.wav p
render -m ./quiet -s 0.2 --greedy --cfg 3 -o b.wav p
check '3 where there is no such file' same_samples a.wav b.wav
rm -rf ./*

# Several takes are what each is alone, also over batches.
render -m "$model" -s 0.2 --seed 20 -n 10 -o many.wav p
check 'ten takes' succeeds
check 'their names' holds_only . many-1.wav many-10.wav many-2.wav many-3.wav many-4.wav \
	many-5.wav many-6.wav many-7.wav many-8.wav many-9.wav
check 'their lines' [ "$(grep -c '^many-[0-9]*\.wav  0\.2[0-9]* s  seed 2[0-9]$' "$scratch/out")" = 10 ]
for i in 1 8 9 10; do
	render -m "$model" -s 0.2 --seed $((19 + i)) -o alone.wav p
	check "take $i is the same alone" same alone.wav "many-$i.wav"
done
rm -f ./*

# A file that is there is replaced by a whole one or not at all.
echo old >old.wav
render -m "$model" -s 0.1 -o old.wav --continue none.wav p
check 'a failure keeps the old file' grep -q old old.wav
render -m "$model" -s 0.1 -o old.wav p
check 'success replaces it' [ "$(head -c 4 old.wav)" = RIFF ]
rm -f ./*

# What a format cannot hold is told.
clipped='samples were too loud for the format and are clipped; use --format float'
render -m "$model" -s 1 --seed 1 -o a.wav p
check 'floats hold everything' succeeds
for format in pcm16 pcm24; do
	render -m "$model" -s 1 --seed 1 --format $format -o a.wav p
	check "$format does not" status_is 0
	check 'which is told' grep -qx "woodshed: warning: 'a.wav': [1-9][0-9]* $clipped" "$scratch/err"
done
render -m "$model" -s 1 --seed 1 --format pcm16 --json -o a.wav p
check 'as JSON, too' grep -q '"type": "result".*"clipped": [1-9]' "$scratch/out"
render -m "$model" -s 1 --seed 1 --format pcm16 --quiet -o a.wav p
check 'not with --quiet' succeeds
rm -f ./*

# Places that take no file.
mkdir folder.wav
mkfifo pipe.wav
for target in folder.wav pipe.wav none/x.wav /dev/null /dev/full folder.wav/ \
	"$(head -c 300 /dev/zero | tr '\0' n).wav"; do
	render -m "$model" -s 0.1 -o "$target" p
	check "not into $(printf %.30s "$target")" fails_with 1 'cannot write'
done
check 'and nothing is left there' holds_only . folder.wav pipe.wav
rm -rf ./*

# A limit on file sizes that is reached while samples are written.
# shellcheck disable=SC2016
run sh -c 'ulimit -f 16; exec "$@"' sh "$woodshed" render -m "$model" -s 60 -o x.wav p
check 'a file size limit' fails_with 1 'cannot write'
check 'leaves nothing' holds_only .

# The disk has less than a file that is as long as allowed.
render -m "$model" -s 86400 -n 256 -o x.wav p
if [ "$status" = 1 ]; then
	check 'a disk too small is told at once' fails_with 1 'free some or choose another folder'
	check 'and nothing is left' holds_only .
fi

# The library.
render -m "$model" -s 0.1 -n 2 --seed 3 p
check 'takes in the library' succeeds
for take in $(cut -d ' ' -f 1 "$scratch/out"); do
	check 'a take is where it says' [ "$(head -c 4 "$take")" = RIFF ]
	run "$woodshed" recipe "$take"
	check 'it tells its recipe' python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["prompt"] == "p" and r["seed"] in (3, 4) and r["model"] == "mono", r
assert r["engine"] == "musicgen" and len(r["model_hash"]) == 64, r
' "$scratch/out"
done
check 'nothing went elsewhere' holds_only .

# JSON, as others read it.
render -m "$model" -s 1.1 -n 2 --seed 18446744073709551614 -o j.wav --json 'say "hi"'
check 'JSON to the end' succeeds
check 'JSON is what the manual says' python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
progress = [o for o in lines if o["type"] == "progress"]
results = [o for o in lines if o["type"] == "result"]
assert lines == progress + results, "results come last"
assert [r["seed"] for r in results] == [2**64 - 2, 2**64 - 1]
assert [r["file"] for r in results] == ["j-1.wav", "j-2.wav"]
for r in results:
    assert r["model"] == "mono" and r["channels"] == 1 and r["rate"] > 0
    assert abs(r["seconds"] - 1.1) < 0.05 and r["wall_s"] > 0 and r["peak_bytes"] > 1e6
stages = [p["stage"] for p in progress]
for stage in ("load", "text", "render", "decode"):
    last = [p for p in progress if p["stage"] == stage][-1]
    assert last["done"] == last["total"] > 0, last
    assert last["eta_s"] is None or last["eta_s"] >= 0
' "$scratch/out"
rm -f ./*

# Readers and writers that are not there.
"$woodshed" render -m "$model" -s 5 -o x.wav --json p 2>"$scratch/err" | head -n 1 >"$scratch/out"
check 'a reader that leaves costs nothing' [ -s x.wav ]
check 'and is not worth a word' [ ! -s "$scratch/err" ]
status=0
"$woodshed" render -m "$model" -s 1 --seed 1 -o y.wav p <&- >&- 2>&- || status=$?
check 'without any standard file' status_is 0
render -m "$model" -s 1 --seed 1 -o z.wav p
check 'the samples are the same' same y.wav z.wav
status=0
"$woodshed" render -m "$model" -s 1 -o x.wav p >/dev/full 2>"$scratch/err" || status=$?
check 'a full standard output is told' says 'cannot write to standard output'
check 'and a failure' status_is 1
done_testing
