#!/bin/sh
# Recipes: rendered again, compared, changed, damaged.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

model=$fixtures/mono
dir=$scratch/files
mkdir "$dir" && cd "$dir" || exit 99
mkdir -p "$WOODSHED_LIBRARY/models"
cp -r "$model" "$WOODSHED_LIBRARY/models/mono"

verify()
{
	run "$woodshed" recipe --verify "$@"
}

# verify's exit status $1 and its line with the words $2.
tells()
{
	status_is "$1" && [ ! -s "$scratch/err" ] && [ "$(wc -l <"$scratch/out")" = 1 ] &&
		grep -qF -e "$2" "$scratch/out"
}

# edit FILE BYTES...: replaces the text of the recipe in a copy, of the same length.
edit()
{
	python3 - "$@" <<'PYTHON'
import sys

source, target, old, new = sys.argv[1:]
data = open(source, "rb").read()
assert data.count(old.encode()) >= 1 and len(old) == len(new), (old, new)
open(target, "wb").write(data.replace(old.encode(), new.encode(), 1))
PYTHON
}

render -m mono -s 0.5 --seed 18446744073709551615 -o a.wav 'slow piano'
verify a.wav
check 'a take is made again, bit for bit' tells 0 'a.wav: identical, all 16000 frames'
verify --threads 1 a.wav
check 'on one thread' tells 0 identical
verify --json a.wav
check 'as JSON' python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert all(o["type"] == "progress" for o in lines[:-1])
r = lines[-1]
assert r["type"] == "verify" and r["identical"] and r["comparable"] and r["frames"] == 16000, r
assert r["precision"] == r["made_precision"] == "f32" and r["device"] == "cpu", r
' "$scratch/out"
for format in pcm16 pcm24; do
	render -m mono -s 0.5 --seed 3 --format "$format" -o b.wav 'slow piano'
	verify b.wav
	check "a file in $format" tells 0 identical
done
render -m mono -s 0.5 --greedy --cfg 1 -n 2 --precision int8 -o g.wav 'slow piano'
verify g-2.wav
check 'greedy, in another precision, of several' tells 0 identical
render -m "$fixtures/stereo" -s 0.3 -o s.wav p
verify -m "$fixtures/stereo" s.wav
check 'a model that lies elsewhere' tells 0 identical
render -m mono -s 0.5 -o e.wav ''
verify e.wav
check 'an empty prompt' tells 0 identical

# What is continued is looked for beside the take.
mkdir sub
render -m mono -s 0.3 -o sub/riff.wav p
render -m mono -s 0.6 --continue sub/riff.wav -o sub/more.wav p
verify sub/more.wav
check 'a continued take' tells 0 identical
mv sub/riff.wav other.wav
verify sub/more.wav
check 'without what it continues' fails_with 1 'name it with --continue'
verify --continue other.wav sub/more.wav
check 'with it' tells 0 identical
verify --continue a.wav sub/more.wav
check 'with something else' fails_with 1 'does not hold the samples'
head -c $(($(stat -c %s other.wav) / 2)) other.wav >cut.wav
render -m mono -s 0.6 --continue cut.wav -o x.wav p
check 'what it lacks is told' says "'cut.wav' is damaged: the file lacks 0.1"
rm cut.wav x.wav
for longer in 0.2 0.3; do
	render -m mono -s $longer --continue other.wav -o x.wav p
	check "$longer s to make of 0.3 s" fails_with 2 'ask for more with --seconds'
done

# Differences.
python3 -c '
data = bytearray(open("a.wav", "rb").read())
at = data.index(b"data") + 8 + 4 * 1000
data[at:at + 4] = b"\0\0\0\x40"
open("c.wav", "wb").write(data)'
verify c.wav
check 'a sample that was changed' tells 1 'differs from 0.031 s on (frame 1000, channel 1)'
verify --json c.wav
check 'as JSON, too' grep -q '"identical": false.*"first_frame": 1000,' "$scratch/out"
render -m mono -s 2 --seed 7 -o l.wav 'slow piano, duet'
verify --precision int8 l.wav
check 'another precision' tells 1 'made in f32 on cpu, this in int8 on cpu, so equal bits cannot'
edit a.wav d.wav '"device": "cpu"' '"device": "npu"'
verify d.wav
check 'a device that this version lacks' fails_with 1 "wants the device 'npu'"
edit a.wav d.wav '"precision": "f32"' '"precision": "f64"'
verify d.wav
check 'a precision that this version lacks' fails_with 1 "wants the precision 'f64'"
edit a.wav d.wav '"version": "0.' '"version": "9.'
verify d.wav
check 'another version' tells 0 identical
edit a.wav d.wav '"prompt": "slow piano"' '"prompt": "slow pianX"'
verify d.wav
check 'another prompt' tells 1 'the file or the model was changed'
edit a.wav d.wav '"frames": 25' '"frames": 26'
verify d.wav
check 'a recipe that contradicts itself' tells 0 identical
edit a.wav d.wav '"seconds": 0.5' '"seconds": 0.6'
verify d.wav
check 'another length' fails_with 1 'has 16000 frames of 1 channels at 32000 Hz, but its recipe makes 19200'
edit a.wav d.wav '"model": "mono"' '"model": "solo"'
verify d.wav
check 'a model that is not here' fails_with 1 "no model 'solo' is installed"
verify -m "$model" d.wav
check 'but elsewhere' tells 0 identical
sed -i 's/"_name_or_path"/"_nAme_or_path"/; s/"dropout": 0.1/"dropout": 0.2/' "$WOODSHED_LIBRARY/models/mono/config.json"
echo ' ' >>"$WOODSHED_LIBRARY/models/mono/config.json"
verify a.wav
check 'another model of that name' fails_with 1 'is not the one that made'
render --recipe a.wav -o x.wav
check 'renders, with a warning' says 'the model is not the one of the recipe'
check 'and success' status_is 0
rm -r "$WOODSHED_LIBRARY/models/mono"
cp -r "$model" "$WOODSHED_LIBRARY/models/mono"
hash=$(sha256sum <"$model/model.safetensors" | cut -c-64)
check 'the recipe tells the weights' grep -q "\"weights_sha256\": \"$hash\"" a.wav
edit a.wav d.wav "$hash" "$(echo "$hash" | tr 0123456789abcdef 1032547698badcfe)"
verify d.wav
check 'other weights' fails_with 1 "(weights $(echo "$hash" | cut -c-12)) is not the one that made"
edit a.wav d.wav "$hash" "x$(echo "$hash" | cut -c2-)"
verify d.wav
check 'no hash' fails_with 1 weights_sha256

# Damage.
head -c 1000 a.wav >d.wav
verify d.wav
check 'a file that was cut' fails_with 1 'frames'
for change in '"seed": 18446744073709551615,=>"seed": 1844674407370955161.5,' \
	'"seed": 18446744073709551615,=>"seed": 28446744073709551615,' \
	'"model": "mono"=>"model": "../m"' '"top_k": 250=>"top_k": -50' '"cfg": 3=>"cfg": "'; do
	edit a.wav d.wav "${change%=>*}" "$(printf '%-*.*s' "$(printf %s "${change%=>*}" | wc -c)" \
		"$(printf %s "${change%=>*}" | wc -c)" "${change#*=>}")"
	verify d.wav
	check "a recipe with ${change#*=>}" fails_with 1 'the recipe is'
	run "$woodshed" recipe d.wav
	check 'is not shown' fails_with 1 'the recipe is'
done
verify
check 'no file' fails_with 2 'takes one file'
verify a.wav c.wav
check 'two files' fails_with 2 'takes one file'
verify none.wav
check 'a file that is not there' fails_with 1 'No such file'
run "$woodshed" recipe a.wav
cp "$scratch/out" recipe.json
verify recipe.json
check 'a recipe alone' fails_with 1 'no audio file'

# Again, as it was or with options changed.
render --recipe a.wav -o x.wav
check 'the same file again' same a.wav x.wav
render --recipe recipe.json -o x.wav
check 'from the recipe alone' same a.wav x.wav
render --recipe g-1.wav -o x.wav
check 'greedy and int8' same g-1.wav x.wav
render --recipe sub/more.wav --continue other.wav -s 0.6 -o x.wav
check 'a continued one' same_samples sub/more.wav x.wav
render -m mono -s 0.2 --seed 9 -o y.wav 'slow piano'
render --recipe a.wav -s 0.2 --seed 9 -o x.wav
check 'with another length and seed' same x.wav y.wav
render -m mono -s 0.5 --seed 4 -o y.wav drums
render --recipe a.wav --seed 4 -o x.wav drums
check 'with another prompt' same x.wav y.wav
render -m mono -s 0.5 --seed 5 --temperature 0.5 --cfg 1 --precision int8 -o y.wav 'slow piano'
render --recipe g-1.wav --seed 5 --temperature 0.5 -o x.wav
check 'a temperature ends --greedy' same x.wav y.wav
render --recipe a.wav -m "$fixtures/stereo" -o x.wav
check 'with another model' succeeds
render --recipe a.wav -n 2 -o x.wav
check 'a seed that has no successor' fails_with 2 'leaves 64 bits'
render --recipe "$model/config.json" -o x.wav
check 'no recipe' fails_with 1 'the recipe is'
render --recipe none.wav -o x.wav
check 'a recipe that is not there' fails_with 1 'No such file'
done_testing
