#!/bin/sh
# woodshed play on a sound server: every sample arrives, and nothing that the
# server does makes it hang.
# shellcheck source=tests/audio/common.sh
. "$(dirname "$0")/common.sh"

dir=$scratch/files
mkdir "$dir" || exit 99
make()
{
	python3 "$here/listen.py" make "$dir/$1" "$2" "$3" || exit 99
}
make tone.wav 96000 0
make first.wav 31415 0
make second.wav 40000 31415
make tiny.wav 7 71415
make third.wav 24578 71422
make long.wav 1440000 0

# heard FRAMES FILE...: plays them and listens.  A machine that is busy with
# something else may drop a buffer, which the device tells; a fault of ours comes
# each time.
heard()
{
	frames=$1
	gain=$2
	shift 2
	for _ in 1 2 3; do
		record "$woodshed" play "$@"
		succeeds && [ ! -s "$scratch/out" ] || return 1
		! python3 "$here/listen.py" heard "$scratch/heard.raw" "$frames" "$gain" || return 0
	done
	return 1
}

start_server
check 'a file is heard as it is' heard 96000 1 "$dir/tone.wav"
check 'four files without a gap' heard 96000 1 "$dir/first.wav" "$dir/second.wav" "$dir/tiny.wav" \
	"$dir/third.wav"
check 'another device' heard 96000 1 --device one "$dir/tone.wav"
check 'at half the volume' heard 96000 0.5 --volume 50 "$dir/tone.wav"

head -c 300000 "$dir/tone.wav" >"$dir/short.wav"
run "$woodshed" play "$dir/short.wav"
check 'a file that ends early is played' status_is 0
check 'and said to be damaged' says "short.wav' is damaged: the file lacks "
run "$woodshed" play --quiet "$dir/short.wav"
check 'but not where no warnings are wanted' [ ! -s "$scratch/err" ]

run "$woodshed" play --list-devices
check 'devices are listed' [ "$(grep -c '^one  (ALSA\|^two  (ALSA\|^default .*default)' "$scratch/out")" = 3 ]
run "$woodshed" play --list-devices --json
check 'as JSON' python3 -c '
import json, sys
names = {json.loads(line)["name"]: json.loads(line)["default"] for line in open(sys.argv[1])}
sys.exit(names != {"one": False, "two": False, "default": True})' "$scratch/out"
cp "$scratch/out" "$scratch/devices"
run "$woodshed" doctor
check 'doctor has no complaint' succeeds
check 'and lists them, too' python3 -c '
import json, sys
lines = open(sys.argv[1]).read().splitlines()
at = next(i for i, line in enumerate(lines) if line.startswith("outputs "))
names = [json.loads(line)["name"] for line in open(sys.argv[2])]
sys.exit([line[11:].split("  (")[0] for line in lines[at:at + len(names)]] != names)' \
	"$scratch/out" "$scratch/devices"
run "$woodshed" play --device harmonium "$dir/tone.wav"
check 'a device that is not there' fails_with 1 "no audio device is called 'harmonium'"
run "$woodshed" play --device o "$dir/tone.wav"
check 'a word that may be two' fails_with 1 "may be the audio device"

# played SECONDS: how long it takes, in ms
played()
{
	began=$(now_ms)
	run "$woodshed" play "$@"
	took_ms=$(($(now_ms) - began))
	echo "# took $took_ms ms"
}

played --start 1.9 "$dir/tone.wav"
check 'from near the end' succeeds
check 'it is short' [ "$took_ms" -lt 1900 ]

# What cannot be read later on does not stop the rest.
cp "$dir/tone.wav" "$dir/bad.wav"
python3 -c '
import struct, sys
n = 48000
fmt = struct.pack("<HHIIHH", 3, 1, n, 4 * n, 4, 32)
data = struct.pack("<f", 0.0) * 99 + struct.pack("<f", float("nan"))
open(sys.argv[1], "wb").write(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " +
    struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data)' "$dir/bad.wav"
run "$woodshed" play "$dir/tiny.wav" "$dir/bad.wav" "$dir/first.wav"
check 'a damaged file among others' fails_with 1 'is not a number'

# interrupt SIGNAL
interrupt()
{
	"$woodshed" play --loop 0.5-0.7 "$dir/long.wav" >"$scratch/out" 2>"$scratch/err" </dev/null &
	pid=$!
	sleep 1.5
	began=$(now_ms)
	kill "-$1" "$pid"
	status=0
	wait "$pid" || status=$?
	took_ms=$(($(now_ms) - began))
	echo "# took $took_ms ms"
}

interrupt INT
check 'Ctrl-C' fails_with 130 'cancelled'
check 'at once' [ "$took_ms" -lt 1000 ]
interrupt TERM
check 'SIGTERM' fails_with 143 'cancelled'

# disturb SIGNAL: to the server, while it plays
disturb()
{
	"$woodshed" play "$dir/long.wav" >"$scratch/out" 2>"$scratch/err" </dev/null &
	pid=$!
	sleep 2
	began=$(now_ms)
	kill "-$1" "$server"
	status=0
	wait "$pid" || status=$?
	took_ms=$(($(now_ms) - began))
	echo "# took $took_ms ms"
}

disturb STOP
check 'a server that stops answering' fails_with 1 'does not answer any more'
check 'within seconds' [ "$took_ms" -lt 8000 ]
played "$dir/tone.wav"
check 'a server that never answers' fails_with 1 'does not answer'
check 'within seconds, too' [ "$took_ms" -lt 12000 ]
kill -CONT "$server"
sleep 0.5
check 'once it answers again' heard 96000 1 "$dir/tone.wav"
disturb KILL
check 'a server that is killed' fails_with 1 'the audio device has gone away'
check 'at once' [ "$took_ms" -lt 3000 ]
end_server
run "$woodshed" play "$dir/tone.wav"
check 'no server' fails_with 1 'start a sound server'
done_testing
