# shellcheck shell=sh disable=SC2034,SC2154
# What the tests of sound models share: a copy of a fixture to break, and that what is
# broken is refused.  The test sets $model, the fixture that is copied, and $short, the
# options of a short render.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

dir=$scratch/takes
mkdir "$dir"
copy=$scratch/model

# fresh [FIXTURE]: a copy to break.
fresh()
{
	rm -rf "$copy"
	cp -r "$fixtures/${1:-$model}" "$copy"
}

# edit FILE PYTHON: `config` is the description, which is written back.
edit()
{
	(cd "$copy" && python3 - "$1" "$2" <<'PYTHON'
import json, sys

with open(sys.argv[1]) as f:
    config = json.load(f)
exec(sys.argv[2])
with open(sys.argv[1], "w") as f:
    json.dump(config, f)
PYTHON
	) || echo "edit failed: $2" >&2
}

# poison PART TENSOR VALUE: the first number of a tensor.
poison()
{
	(cd "$copy/$1" && python3 - "$2" "$3" <<'PYTHON'
import glob, json, struct, sys

path = glob.glob("*.safetensors")[0]
data = bytearray(open(path, "rb").read())
size = struct.unpack_from("<Q", data)[0]
entry = json.loads(data[8:8 + size])[sys.argv[1]]
kind = {"F16": "<e", "F32": "<f"}[entry["dtype"]]
struct.pack_into(kind, data, 8 + size + entry["data_offsets"][0], float(sys.argv[2]))
open(path, "wb").write(data)
PYTHON
	) || echo "poison failed: $2" >&2
}

# refused STATUS NAME WORDS [OPTION...]
refused()
{
	wanted=$1
	what=$2
	words=$3
	shift 3
	# shellcheck disable=SC2086 # options
	render -m "$copy" $short -o "$dir/x.wav" "$@" p
	check "$what" fails_with "$wanted" "$words"
	check "$what: nothing is written" holds_only "$dir"
}
