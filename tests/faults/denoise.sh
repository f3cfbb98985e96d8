#!/bin/sh
# Denoising: any file libsndfile reads, bad ones, names, signals, full disks.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

dir=$scratch/files
mkdir "$dir" "$dir/out" && cd "$dir" || exit 99

denoise()
{
	run "$woodshed" denoise "$@"
}

# make NAME KIND SECONDS [RATE [CHANNELS]]: a float WAV file, by somebody else's hand.
cat >make.py <<'PY'
import math, random, struct, sys

name, kind, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
rate, channels = (int(a) for a in (sys.argv[4:] + ["16000", "1"][len(sys.argv) - 4:]))
random.seed(1)
n = round(seconds * rate)


def sample(i):
    if kind == "noisy":  # notes of half a second, silence between, and noise
        t = i / rate % 1
        note = 0.3 * math.exp(-4 * t) * math.sin(2 * math.pi * 440 * t) if t < 0.6 else 0
        return note + 0.02 * random.gauss(0, 1)
    if kind == "square":
        return 1.0 if i // 40 % 2 else -1.0
    return {"silence": 0.0, "dc": 0.5, "nan": math.nan if i == n // 2 else 0.1,
            "inf": math.inf if i == n - 1 else 0.1, "huge": 1e30}[kind]


data = b"".join(struct.pack("<f", sample(i)) * channels for i in range(n))
fmt = struct.pack("<HHIIHHH", 3, channels, rate, rate * channels * 4, channels * 4, 32, 0)
body = b"WAVEfmt " + struct.pack("<I", 18) + fmt + b"fact" + struct.pack("<II", 4, n)
body += b"data" + struct.pack("<I", len(data)) + data
open(name, "wb").write(b"RIFF" + struct.pack("<I", len(body)) + body)
PY
make()
{
	python3 make.py "$@"
}

# shape FILE: rate, channels and bytes of samples.
shape()
{
	python3 -c '
import struct, sys
data = open(sys.argv[1], "rb").read()
at = 12
while data[at:at + 4] != b"data":
    if data[at:at + 4] == b"fmt ":
        channels, rate = struct.unpack_from("<HI", data, at + 10)
    at += 8 + struct.unpack_from("<I", data, at + 4)[0]
print(rate, channels, struct.unpack_from("<I", data, at + 4)[0])' "$1"
}

like()
{
	[ "$(shape "$1")" = "$(shape "$2")" ]
}

# out + removed is in, but for one rounding of each.
adds_up()
{
	python3 -c '
import struct, sys

def samples(path):
    data, at = open(path, "rb").read(), 12
    while data[at:at + 4] != b"data":
        at += 8 + struct.unpack_from("<I", data, at + 4)[0]
    return [v for v, in struct.iter_unpack("<f", data[at + 8:])]

x, y, r = map(samples, sys.argv[1:])
assert len(x) == len(y) == len(r)
assert all(abs(a - b - c) <= 2e-7 * (abs(a) + abs(c)) for a, b, c in zip(x, y, r))
assert any(r)' "$1" "$2" "$3" 2>/dev/null
}

make in.wav noisy 4
for method in ss wiener df; do
	denoise --quiet --method $method --removed out/removed.wav in.wav out/wet.wav
	check "$method" succeeds
	check "$method: as long as before" like in.wav out/wet.wav
	check "$method: something changed" differ in.wav out/wet.wav
	check "$method: with what was removed it is the input" adds_up in.wav out/wet.wav out/removed.wav
	check "$method: no word about it" [ ! -s "$scratch/out" ]
	denoise --method $method --mix 0 in.wav out/dry.wav
	check "$method: mix 0" same_samples in.wav out/dry.wav
	denoise --quiet --method $method in.wav out/again.wav
	check "$method: again, the same bytes" same out/wet.wav out/again.wav
done
denoise --strength 0 in.wav out/dry.wav
check 'strength 0' same_samples in.wav out/dry.wav
denoise --noise-from 0.6-1.6 in.wav out/marked.wav
check 'a marked stretch' succeeds
for format in pcm16 pcm24 float; do
	denoise --format $format in.wav out/format.wav
	check "$format" succeeds
done
denoise --report in.wav
check 'a report needs no output' succeeds
check 'tells the bands' [ "$(wc -l <"$scratch/out")" -gt 15 ]
denoise --report --json in.wav
check 'in JSON' python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert all(line["type"] == "band" for line in lines[:-1]) and len(lines) > 10
assert lines[-1]["type"] == "denoise" and -36 < lines[-1]["noise_db"] < -32, lines[-1]
' "$scratch/out"
rm out/*

# DeepFilterNet, made for speech, and music.
music='this takes music away: DeepFilterNet .* keep some with --strength 0.75 or --mix 0.75'
denoise --method df in.wav out/a.wav
check 'df: music goes, which is told with the remedy' grep -q "$music" "$scratch/err"
check 'df: for all that' status_is 0
for remedy in '--strength 0.75' '--mix 0.75'; do
	# shellcheck disable=SC2086
	denoise --method df $remedy in.wav out/a.wav
	check "df: $remedy is the remedy" succeeds
done
denoise --quiet --json --report --method df in.wav
check 'df: the report' python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert len(lines) == 1 and lines[0]["takes_music"] and lines[0]["noise_db"] is None, lines
assert 0.6 < lines[0]["removed"] < 1.1, lines
' "$scratch/out"
rm out/*

# Signals that are no music, and shapes.
for method in wiener df; do
	for kind in silence dc square; do
		make $kind.wav $kind 2
		denoise --quiet --method $method $kind.wav out/a.wav
		check "$method: $kind" succeeds
		check "$method: $kind is as long as before" like $kind.wav out/a.wav
	done
done
for shape in '8000 1' '11025 3' '44100 8' '96000 2' '192000 2'; do
	# shellcheck disable=SC2086
	make shape.wav noisy 0.3 $shape
	for method in wiener df; do
		denoise --quiet --method $method --removed out/r.wav shape.wav out/a.wav
		check "$method, $shape" succeeds
		check "$method, $shape: as long as before" like shape.wav out/a.wav
	done
	check "df, $shape: with what was removed it is the input" adds_up shape.wav out/a.wav out/r.wav
	denoise --method df --mix 0 shape.wav out/a.wav
	check "df, $shape: mix 0" same_samples shape.wav out/a.wav
done
denoise --method df --mix 0 --format pcm16 square.wav out/a.wav
check 'clipping' status_is 0
check 'is told' grep -q "warning: 'out/a.wav': [0-9]* samples were too loud for the format" "$scratch/err"
denoise --quiet --json --method df --mix 0 --format pcm16 square.wav out/a.wav
check 'not with --quiet' succeeds
check 'but as JSON' grep -q '"clipped": [1-9]' "$scratch/out"
make one.wav dc 0.0000625
for method in wiener df; do
	denoise --quiet --method $method one.wav out/a.wav
	check "$method: one sample" succeeds
	check "$method: is one sample" [ "$(shape out/a.wav)" = '16000 1 4' ]
done
denoise silence.wav out/a.wav
check 'silence has no noise, which is told' says 'no steady noise was found'
denoise --method df silence.wav out/a.wav
check 'df: silence needs no word' succeeds
check 'df: silence stays' same_samples silence.wav out/a.wav
rm out/*

# wrong STATUS WORDS ARG...: refused, nothing left behind.
wrong()
{
	want=$1
	words=$2
	shift 2
	denoise "$@"
	check "denoise $*" fails_with "$want" "$words"
}
make nan.wav nan 2
make inf.wav inf 2
make huge.wav huge 1
make empty.wav silence 0
: >nothing.wav
echo 'no audio at all, but a text that is long enough to be looked at' >text.wav
head -c 30 in.wav >cut.wav
wrong 1 'at 1.000 seconds is not a number' nan.wav out/a.wav
wrong 1 'is not a number' inf.wav out/a.wav
wrong 1 'far beyond full scale' huge.wav out/a.wav
wrong 1 'holds no audio' empty.wav out/a.wav
wrong 1 'no audio file of a known kind' nothing.wav out/a.wav
wrong 1 'no audio file of a known kind' text.wav out/a.wav
wrong 1 "cannot read 'cut.wav'" cut.wav out/a.wav
wrong 1 "cannot read 'none.wav'" none.wav out/a.wav
wrong 1 'no regular file' out out/a.wav
wrong 1 "cannot write 'none/a.wav'" in.wav none/a.wav
wrong 1 'it is a folder' in.wav out
wrong 2 'denoise takes two files' in.wav
wrong 2 'denoise takes two files' in.wav out/a.wav out/b.wav
wrong 2 'overwritten by its own result' in.wav in.wav
wrong 2 'overwritten by its own result' --removed in.wav in.wav out/a.wav
wrong 2 'give two names' --removed out/a.wav in.wav out/a.wav
wrong 2 'give two names' --removed ./out//a.wav in.wav "$dir/out/../out/a.wav"
wrong 2 'give two names' --removed ./a.wav in.wav a.wav
wrong 2 '--method takes ss|wiener|df' --method rnn in.wav out/a.wav
wrong 2 '--mix takes a number from 0 to 1' --mix 1.1 in.wav out/a.wav
wrong 2 '--mix takes a number from 0 to 1' --mix nan in.wav out/a.wav
wrong 2 '--strength takes a number' --strength -1 in.wav out/a.wav
wrong 2 '--format takes float|pcm24|pcm16' --format mp3 in.wav out/a.wav
for stretch in x 1 1- -1 2-1 1-1 a-b nan-2 0-inf; do
	wrong 2 '--noise-from takes two times' --noise-from=$stretch in.wav out/a.wav
done
wrong 2 'reaches beyond the end' --noise-from 3-9 in.wav out/a.wav
wrong 2 'too short to learn from' --noise-from 1-1.2 in.wav out/a.wav
check 'nothing was left behind' holds_only out

# What the library holds is no place for a result.
take=$WOODSHED_LIBRARY/takes/2026/11/take.wav
mkdir -p "${take%/*}"
cp in.wav "$take"
ln -s "$take" link.wav
wrong 2 'is a take of the library, which would be lost; give another name' in.wav "$take"
wrong 2 'is a take of the library' in.wav link.wav
wrong 2 'is a take of the library' --removed "$WOODSHED_LIBRARY/takes/../takes/2026/11/take.wav" \
	in.wav out/a.wav
check 'a take stays' same in.wav "$take"
check 'nothing is beside it' holds_only "${take%/*}" take.wav
check 'nor anywhere else' holds_only out

# A file whose header claims more than there is: what is there counts.
head -c 100000 in.wav >short.wav
denoise short.wav out/a.wav
check 'a file cut short' status_is 0
check 'is told, once' [ "$(grep -c "warning: 'short.wav' is damaged: the file lacks " "$scratch/err")" = 1 ]
denoise --quiet short.wav out/a.wav
check 'but not where no warnings are wanted' [ ! -s "$scratch/err" ]
rm out/*

# Old results stay until the new one is complete.
echo old >out/a.wav
denoise nan.wav out/a.wav
check 'what was there stays' grep -q old out/a.wav
rm out/*
make long.wav noisy 20
python3 - <<'PY'
import struct
data = open("long.wav", "rb").read()
at = data.index(b"data")
body = data[at + 8:] * 60
open("long.wav", "wb").write(data[:at + 4] + struct.pack("<I", len(body)) + body)
PY
"$woodshed" denoise --removed out/r.wav long.wav out/a.wav 2>"$scratch/err" &
pid=$!
tries=0
while [ -z "$(ls -A out)" ] && [ $tries -lt 100 ]; do
	sleep 0.02
	tries=$((tries + 1))
done
kill -INT $pid
wait $pid
status=$?
check 'Ctrl-C' status_is 130
check 'leaves nothing' holds_only out
done_testing
