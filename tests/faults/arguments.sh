#!/bin/sh
# Every wrong word: its exit status, its one line, and nothing written.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

model=$fixtures/mono
# As it is installed, with a tiny model in place of the one that comes with it.
mkdir -p "$scratch/prefix/bin" "$scratch/prefix/share/woodshed"
cp "$woodshed" "$woodshed-engine" "$scratch/prefix/bin"
cp -r "$model" "$scratch/prefix/share/woodshed/starter"
woodshed=$scratch/prefix/bin/woodshed

mkdir "$scratch/cwd" && cd "$scratch/cwd" || exit 99

# wrong STATUS WORDS ARGUMENTS...
wrong()
{
	want=$1
	words=$2
	shift 2
	run "$woodshed" "$@"
	check "woodshed $*" fails_with "$want" "$words"
}

wrong 2 'unknown verb' 'slow piano'
wrong 2 'did you mean render?' redner x
wrong 2 'unknown option --librari; did you mean --library?' --librari x models
wrong 2 '--library needs a value' --library
wrong 2 '--color takes auto|always|never' --color=blue models
wrong 2 '--quiet takes no value' --quiet=1 models
wrong 2 'denoise takes two files' denoise
wrong 2 'models takes no argument' models x
wrong 2 'play takes files or takes' play
wrong 2 'plays nothing' play --list-devices x.wav
wrong 2 '--json belongs to --list-devices' play --json x.wav
wrong 2 '--loop takes one file' play --loop 1-2 a.wav b.wav
for loop in 1 2-1 1-1 -1-2 1-x 1-2-3 - ''; do
	wrong 2 '--loop takes two seconds' play --loop "$loop" x.wav
done
wrong 2 '--volume takes a number from 0 to 100' play --volume 101 x.wav
wrong 2 '--start takes a number' play --start -1 x.wav
wrong 1 'cannot read' play none.wav
wrong 1 'no audio file of a known kind' play "$model/config.json"
wrong 1 'cannot read' play "$model"
wrong 2 'pull takes one model' pull
wrong 2 'pull takes one model' pull musicgen-small musicgen-large
wrong 2 'did you mean musicgen-small?' pull musicgen-smal
wrong 2 'is named by its repository, OWNER/NAME' pull something-else
wrong 2 'is no repository' pull ../models
wrong 2 '--tries takes a whole number from 1 to 1000' pull --tries 0 musicgen-small
wrong 2 '--wait takes a number from 0 to 60' pull --wait -1 musicgen-small
wrong 2 'doctor takes no argument' doctor x
wrong 2 'recipe takes one file' recipe
wrong 2 'recipe takes one file' recipe a b
wrong 2 'recipe --verify takes one file' recipe --verify
wrong 1 'cannot read' recipe none.wav
wrong 1 'woodshed' recipe "$model/config.json"

wrong 2 'render needs a prompt' render
wrong 2 'render needs a prompt' render --greedy --
wrong 2 "got also 'piano'" render -m "$model" slow piano
wrong 2 'did you mean --seconds?' render -m "$model" --secnods 1 p
wrong 2 'unknown option -x' render -m "$model" -x p
wrong 2 'unknown option -5' render -m "$model" -5 p
wrong 2 '--seed needs a value' render -m "$model" p --seed
for seconds in 0 -1 0.0 '' ' 1' 1s nan inf 0x10 1,5 100000000 999999999999999999999999999999; do
	wrong 2 '--seconds' render -m "$model" --out x.wav --seconds "$seconds" p
done
for count in 0 -1 257 1.5 99999999999999999999; do
	wrong 2 '--count takes a whole number from 1 to 256' render -m "$model" -n "$count" p
done
for seed in -1 18446744073709551616 1.0 x ''; do
	wrong 2 '--seed takes a whole number from 0 to 18446744073709551615' \
		render -m "$model" --seed "$seed" p
done
wrong 2 'leaves 64 bits' render -m "$model" --seed 18446744073709551615 -n 2 p
wrong 2 '--temperature takes a number' render -m "$model" --temperature 0 p
wrong 2 '--top-p takes a number from 0 to 1' render -m "$model" --top-p 1.5 p
wrong 2 '--top-k takes a whole number' render -m "$model" --top-k -1 p
wrong 2 '--cfg takes a number' render -m "$model" --cfg much p
wrong 2 '--threads takes a whole number' render -m "$model" --threads 0 p
wrong 2 '--device takes auto|cpu|cuda' render -m "$model" --device tpu p
wrong 2 '--precision takes auto|f32|bf16|int8' render -m "$model" --precision fp16 p
wrong 2 '--format takes float|pcm24|pcm16' render -m "$model" -o x.wav --format mp3 p
wrong 2 '--format belongs to --out' render -m "$model" --format pcm16 p
wrong 2 "name it 'x.wav'" render -m "$model" -o x.flac p
wrong 2 '--out needs a file name' render -m "$model" --out= p
wrong 2 '--steps belongs to the diffusion engines' render -m "$model" --steps 10 p
wrong 2 '--negative belongs to the diffusion engines' render -m "$model" --negative '' p
wrong 2 '--sampler belongs to the diffusion engines' render -m "$model" --sampler dpm p
wrong 2 '--noise belongs to the diffusion engines' render -m "$model" --noise x p
wrong 2 'not valid UTF-8' render -m "$model" -o x.wav "$(printf 'a\377b')"
wrong 2 'shorten it' render -m "$model" -o x.wav "$(head -c 100000 /dev/zero | tr '\0' a)"
wrong 1 'cuda' render -m "$model" -o x.wav --device cuda p
wrong 1 "no model 'small' is installed; choose one of these: starter" render -m small p
wrong 1 'none' render -m ./none -o x.wav p
wrong 1 'woodshed' render -m "$scratch/cwd" -o x.wav p
wrong 1 '--continue' render -m "$model" -o x.wav --continue none.wav p
wrong 1 '--continue' render -m "$model" -o x.wav --continue "$model/config.json" p

# Names from the user do not reach the terminal as they are.
escape=$(printf '\033[31mred\r')
wrong 1 '?[31mred?' render -m "./$escape" -o x.wav p
wrong 2 '?[31mred?' render -m "$model" p "$escape"
wrong 2 '?[31mred?' "$escape"
wrong 1 '?[31mred?' recipe "$escape"
check 'nothing was written' holds_only "$scratch/cwd"
check 'no take was made' [ ! -e "$WOODSHED_LIBRARY/takes/"*/*/*.wav ]

# Which model is meant.
mkdir -p "$WOODSHED_LIBRARY/models"
cp -r "$model" "$WOODSHED_LIBRARY/models/one"
made_by()
{
	status_is 0 && "$woodshed" recipe "$1" | grep -q "\"model\": *\"$2\""
}
render -s 0.1 -o a.wav p
check 'the starter model needs no name' made_by a.wav starter
wrong 1 "no model 'two' is installed; choose one of these: one, starter" render -m two -o b.wav p
wrong 1 "no model 'two' is installed" models --default two
cp -r "$model" "$WOODSHED_LIBRARY/models/two"
run "$woodshed" models --default two
check 'a default is picked' succeeds
render -s 0.1 -o b.wav p
check 'and renders' made_by b.wav two
run "$woodshed" models
check 'and is shown' grep -q '^two .*(default)$' "$scratch/out"
rm -r "$WOODSHED_LIBRARY/models/two" b.wav
wrong 1 "the default model 'two' is not installed any more" render -o b.wav p
printf '\033[31m\n' >"$WOODSHED_LIBRARY/default-model"
wrong 1 '?[31m' render -o b.wav p
rm "$WOODSHED_LIBRARY/default-model"
cp -r "$model" "$WOODSHED_LIBRARY/models/two"
render -m two -s 0.1 -o b.wav p
check 'by name' succeeds
cp -r "$model" plain
render -m plain -s 0.1 -o c.wav p
check 'a folder without a slash' succeeds
run "$woodshed" models
check 'models lists them' grep -q '^one  *musicgen ' "$scratch/out"
check 'with length and licence' grep -q '^starter  *musicgen .* mono, 6\.34 s  MIT  (default)$' "$scratch/out"
check 'or without' grep -q '^one .* s  licence not known$' "$scratch/out"
check 'and what could be pulled' grep -q '^musicgen-small .*2\.4 GB .*30 s  CC-BY-NC-4\.0$' "$scratch/out"
run "$woodshed" models --json
check 'models --json' python3 -c '
import json, sys
everything = [json.loads(line) for line in open(sys.argv[1])]
models = [m for m in everything if m["installed"]]
assert [m["name"] for m in models] == ["one", "starter", "two"]
assert [m["name"] for m in models if m["default"]] == ["starter"]
assert [m["licence"] for m in models] == [None, "MIT", None]
assert all(m["longest_s"] > 0 for m in models)
assert all(m["engine"] == "musicgen" and m["bytes"] > 1000 for m in models)
others = {m["name"]: m for m in everything if not m["installed"]}
assert len(others) == 10 and not any(m["dir"] or m["default"] for m in others.values())
assert others["musicgen-large"]["commercial"] == "no"
assert others["musicgen-large"]["repo"] == "facebook/musicgen-large"
assert others["musicgen-stereo-small"]["channels"] == 2
assert others["stable-audio-open-1.0"]["longest_s"] == 47.5
' "$scratch/out"

# The cache of converted weights is told and removed, and nothing else is.
mkdir "$WOODSHED_LIBRARY/cache"
for name in a-bf16.weights b-int8.weights.77.tmp; do
	head -c 500000 /dev/zero >"$WOODSHED_LIBRARY/cache/$name"
done
echo kept >"$WOODSHED_LIBRARY/cache/notes"
run "$woodshed" models
check 'models tells the cache' grep -q '^converted weights: 1\.0 MB' "$scratch/out"
run "$woodshed" models --json --drop-cache
check 'and removes it' succeeds
check 'but nothing else' holds_only "$WOODSHED_LIBRARY/cache" notes
run "$woodshed" models --drop-cache
check 'an empty one, too' grep -q '^0 B removed' "$scratch/out"

# A folder and --out need no library, and make none.
mkdir alone && cp -r "$model" alone/word
(cd alone && unset WOODSHED_LIBRARY && env -u HOME "$woodshed" render -m word -s 0.1 -o a.wav p) \
	>"$scratch/out" 2>"$scratch/err"
check 'no home, a folder, --out' [ -s alone/a.wav ]
(cd alone && WOODSHED_LIBRARY=$scratch/none "$woodshed" render -m word -s 0.1 -o b.wav p) \
	>"$scratch/out" 2>"$scratch/err"
check 'a library that is not there, a folder, --out' [ -s alone/b.wav ]
check 'and none comes of it' [ ! -e "$scratch/none" ]

# The model that comes with woodshed is found without a library.
(unset WOODSHED_LIBRARY && env -u HOME "$woodshed" render -s 0.1 -o d.wav p) >"$scratch/out" 2>"$scratch/err"
check 'no home, no model, --out' made_by d.wav starter
mkdir none
export WOODSHED_LIBRARY="$PWD/none"
mv "$scratch/prefix/share" "$scratch/away"
run "$woodshed" render -s 0.1 -o f.wav p
check 'without it' fails_with 1 'woodshed pull musicgen-small fetches one'
run "$woodshed" models
check 'models says so, too' grep -q 'no model is installed' "$scratch/err"
mv "$scratch/away" "$scratch/prefix/share"
run "$woodshed" --quiet
check 'no verb' succeeds
take=$(cut -d ' ' -f 1 "$scratch/out")
check 'renders a demonstration into the library' made_by "$take" starter
check 'of ten seconds' [ "$(stat -c %s "$take")" -gt 1280000 ]
cp "$take" kept.wav
ln -s "$take" link.png
wrong 2 'is a take of the library, which would be lost; give another name' render -s 0.1 -o "$take" p
wrong 2 'is a take of the library' render -s 0.1 -o ./none/takes/.././takes/"${take##*/takes/}" p
wrong 2 'is a take of the library' spectrogram kept.wav link.png
check 'the take stays' same kept.wav "$take"

run "$woodshed" doctor
check 'doctor tells audio outputs, or why there are none' [ "$(grep -c '^outputs  *[^ ]' "$scratch/out")" = 1 ]
mv "$woodshed" "$scratch/woodshed"
run "$woodshed-engine" doctor
check 'it asks woodshed' grep -q "^outputs .*/woodshed', which belongs beside woodshed-engine" "$scratch/out"
mv "$scratch/woodshed" "$woodshed"

# What --help lists, tests/tui/manual_verbs.py looks up in the manual.
for verb in 'render' 'export' 'models' 'pull' 'recipe' 'recipe --verify' 'queue' 'worker' 'takes' 'jobs' \
	'cancel' 'retry'; do
	# shellcheck disable=SC2086
	run "$woodshed" $verb --help
	check "$verb --help lists options" [ "$(grep -c ' --[a-z]' "$scratch/out")" -ge 7 ]
done
for words in '--help' '--version' 'render --version' 'doctor --help' 'pull --help' 'recipe --help' \
	'recipe --verify --version' 'export --help' 'export --version' 'doctor' 'queue --help' 'worker --help'; do
	# shellcheck disable=SC2086
	run "$woodshed" $words
	check "woodshed $words" succeeds
done
done_testing
