#!/bin/sh
# GPUs that are not there, too old, busy, full or lost, through the programs, on the
# emulated device.  Called with the folder of a module of another version, too.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

other=$(realpath "$3")
dir=$scratch/files
mkdir -p "$WOODSHED_LIBRARY/models" "$dir" && cd "$dir" || exit 99
cp -r "$fixtures/mono" "$WOODSHED_LIBRARY/models/tiny"

# faulty FAULTS COMMAND...: as run.
faulty()
{
	export WOODSHED_EMULATED_FAULT="$1"
	shift
	run "$@"
	unset WOODSHED_EMULATED_FAULT
}

render_cuda()
{
	faulty "$1" "$woodshed" render -m tiny -s 0.2 --seed 1 --device cuda -o x.wav p
}

prints()
{
	status_is 0 && [ ! -s "$scratch/err" ] && grep -q -e "$1" "$scratch/out"
}

# ---- devices that cannot be opened ----------------------------------------

# refused FAULT WORDS
refused()
{
	render_cuda "$1"
	check "render, $1" fails_with 1 "$2"
	check "$1 leaves no file" holds_only .
	faulty "$1" "$woodshed" doctor
	check "doctor, $1" prints "^cuda  *.*$2"
}
refused no-driver 'there is no NVIDIA driver; install it, or use --device cpu'
refused old-driver 'the NVIDIA driver is for CUDA 11.8, but this woodshed needs one for 12.0 or newer'
refused no-device 'the driver finds no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES, or use --device cpu'
refused old-device 'has compute capability 6.1, but 7.5 is needed'
refused no-image 'was not built for emulated GPU, compute capability 9.0 (no kernel image'
refused busy 'the GPU is busy: another program has it for itself; wait'
refused out-of-memory 'the GPU has no memory left to start on; end what uses it'
refused memory=1000 'the GPU has no memory left to start on; end what uses it'

# auto never takes a device that is only emulated.
run "$woodshed" render -m tiny -s 0.2 --seed 1 --json -o auto.wav p
check 'auto is the CPU' grep -q '"device": "cpu"' "$scratch/out"
rm auto.wav

# ---- modules --------------------------------------------------------------

mkdir "$scratch/bin"
cp "$woodshed" "$(dirname "$woodshed")/woodshed-engine" "$scratch/bin"
beside()
{
	run "$scratch/bin/woodshed" render -m tiny -s 0.2 --device "$1" -o m.wav p
}
beside cuda
check 'no module' fails_with 1 'this woodshed was built without it'
run "$scratch/bin/woodshed" doctor
check 'doctor, no module' prints '^cuda  *no CUDA: this woodshed was built without it'
beside auto
check 'no module, auto' succeeds
cp "$other"/*other-version*.so "$scratch/bin/woodshed-cuda.so"
beside cuda
check 'a module of another version' fails_with 1 'is of another version than the program; build'
beside auto
check 'another version, auto' succeeds
echo 'no module' >"$scratch/bin/woodshed-cuda.so"
beside cuda
check 'a module that cannot be loaded' fails_with 1 'its module cannot be loaded ('
rm m.wav

# ---- one that works -------------------------------------------------------

faulty '' "$woodshed" doctor
check 'doctor names it' prints \
	'^cuda  *emulated GPU, compute capability 9.0, driver for CUDA 13.0, 8.6 GB, 8.[0-9] GB free$'
check 'and what a model needs of it' prints \
	'^  *cuda: [0-9]* kB in f32, [0-9]* kB in bf16, [0-9]* kB in int8, .* of 8.[0-9] GB free; auto is f32$'
render_cuda ''
check 'render' succeeds
render_cuda arch=75
check 'on an old one' succeeds
mv x.wav graphs.wav
run "$woodshed" render -m tiny -s 0.2 --seed 1 --device cuda --no-graphs -o x.wav p
check 'without graphs' succeeds
check 'the same bits' same graphs.wav x.wav

# Takes and previews come between the steps of a diffusion.
cp -r "$fixtures/../stable_audio/flow" "$WOODSHED_LIBRARY/models/flow"
diffuse()
{
	run "$woodshed" render -m flow -n 2 --seed 1 --steps 5 --device cuda "$@" p
	check "diffusion, $*" succeeds
}
diffuse --preview 2 -o graphs.wav
diffuse --no-graphs -o eager.wav
check 'the first take is the same' same graphs-1.wav eager-1.wav
check 'the second as well' same graphs-2.wav eager-2.wav
rm -r "$WOODSHED_LIBRARY/models/flow"
run "$woodshed" recipe --verify x.wav
check 'made again' prints 'identical'
run "$woodshed" recipe --verify --device cpu x.wav
check 'compared with the CPU' grep -q \
	'made in f32 on cuda (emulated GPU), this in f32 on cpu, so equal bits cannot be expected' "$scratch/out"
cp -r "$fixtures/odd" "$WOODSHED_LIBRARY/models/odd"
run "$woodshed" render -m odd -s 1 -n 5 --seed 7 --device cuda --precision bf16 -o many.wav p
run "$woodshed" recipe --verify many-3.wav
check 'of several takes at once' grep -q \
	'in bf16 on cuda (emulated GPU, 5 takes at once), this in bf16 on cuda (emulated GPU), so equal' \
	"$scratch/out"
rm -r "$WOODSHED_LIBRARY/models/odd" many-*.wav
faulty no-driver "$woodshed" recipe --verify x.wav
check 'where there is none' fails_with 1 'use --device cpu'
run "$woodshed" queue -m tiny -s 0.2 --device cuda --dry-run --json p
check 'a forecast is for it' prints '"device": "cuda", "precision": "f32", "memory": [0-9]*, "memory_free": 8[0-9]*}$'
rm -f ./*.wav

# ---- models that do not fit -----------------------------------------------

# Workspace and so on take 33.6 MB.
render_cuda memory=33700000
check 'weights that do not fit' fails_with 1 \
	"of the GPU's memory, 145 kB is free: use --precision bf16 or int8, or use --device cpu"
faulty memory=33700000 "$woodshed" doctor
check 'doctor knows' prints 'cuda: .*; it does not fit'
faulty memory=36000000 "$woodshed" render -m tiny -s 5 --device cuda -o x.wav p
check 'a take that does not fit' fails_with 1 'free; ask for a shorter take'
check 'no file is left' holds_only .

# A model of 0.5 GB in f32, all of it holes: what auto makes of it.
python3 - "$WOODSHED_LIBRARY/models/tiny" "$WOODSHED_LIBRARY/models/large" <<'PYTHON'
import json, os, shutil, struct, sys

small, large = sys.argv[1:]
shutil.copytree(small, large)
config = json.load(open(large + "/config.json"))
ffn, wide = config["decoder"]["ffn_dim"], 1 << 20
config["decoder"]["ffn_dim"] = wide
json.dump(config, open(large + "/config.json", "w"))
with open(small + "/model.safetensors", "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
header.pop("__metadata__", None)
end = 0
size = {"F32": 4, "F16": 2, "BF16": 2}
for name, t in header.items():
    if name.startswith("decoder."):
        t["shape"] = [wide if n == ffn else n for n in t["shape"]]
    n = size[t["dtype"]]
    for extent in t["shape"]:
        n *= extent
    t["data_offsets"] = [end, end + n]
    end += n
text = json.dumps(header).encode()
with open(large + "/model.safetensors", "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text)
    f.truncate(8 + len(text) + end)
PYTHON
# needs FAULT WORDS
needs()
{
	faulty "$1" "$woodshed" doctor
	check "doctor, $1" prints "cuda: 5[0-9]* MB in f32, 2[0-9]* MB in bf16, 1[0-9]* MB in int8, .*$2"
}
needs memory=2000000000 'auto is bf16$'
needs memory=500000000 'auto is int8'
needs memory=100000000 'it does not fit$'
faulty memory=500000000 "$woodshed" queue -m large -s 0.2 --device cuda --dry-run p
check 'the forecast takes int8' prints 'of memory on cuda in int8, 466 MB is free$'
# large PRECISION WORDS: before anything is read
large()
{
	faulty memory=100000000 "$woodshed" render -m large --device cuda --precision "$1" -o x.wav p
	check "in $1" fails_with 1 "of the GPU's memory, 66.4 MB is free: use $2, or use --device cpu"
}
large f32 '--precision bf16 or int8'
large bf16 '--precision int8'
large int8 'a smaller model'
large auto 'a smaller model'
rm -r "$WOODSHED_LIBRARY/models/large"

# ---- devices that are lost ------------------------------------------------

for fault in illegal-address@5 ecc@100 fallen-off-the-bus@300; do
	render_cuda "$fault"
	check "render, $fault" fails_with 1 'the GPU is lost: '
	check "$fault leaves no file" holds_only .
done

queue()
{
	"$woodshed" queue -m tiny -s 0.2 --device cuda "$@" >/dev/null
}

jobs_are()
{
	[ "$("$woodshed" jobs --json --state "$1" | wc -l)" = "$2" ]
}

queue --seed 1 --count 2 'lost'
queue --seed 9 'after it'
faulty illegal-address@300 "$woodshed" worker
check 'a worker ends with its device' status_is 1
check 'and says why' says 'the GPU is lost: an illegal memory access'
check 'its jobs wait again' jobs_are queued 3
check 'no take is left' [ -z "$(find "$WOODSHED_LIBRARY/takes" -type f)" ]
faulty ecc@300 "$woodshed" worker
check 'so does the next' status_is 1
check 'the job that was lost twice failed' jobs_are failed 1
check 'alone' jobs_are queued 2
run "$woodshed" jobs --json --state failed
check 'and says what to do' grep -q \
	'"error": "in both attempts: .*the GPU is lost: .*; start woodshed again, .*nvidia-smi' "$scratch/out"
run "$woodshed" worker
check 'the queue goes on' status_is 0
check 'with all others' jobs_are 'done' 2
run "$woodshed" retry 1
run "$woodshed" worker
check 'and that one, once the GPU is well' jobs_are 'done' 3

# A take that is too long ends its job, not the worker.
"$woodshed" queue -m tiny -s 6 --device cuda 'too long' >/dev/null
queue --seed 20 'short'
faulty memory=39000000 taskset -c "$(taskset -cp $$ | sed "s/.*: *\([0-9]*\).*/\1/")" "$woodshed" worker
check 'a worker whose device is small' status_is 0
check 'fails what does not fit' jobs_are failed 1
check 'and does what does' jobs_are 'done' 4
done_testing
