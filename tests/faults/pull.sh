#!/bin/sh
# woodshed pull against a server on the loopback that misbehaves in every way:
# hub.py says how.
# shellcheck source=tests/faults/common.sh
. "$(dirname "$0")/common.sh"

hub=$scratch/hub
repos=$hub/repos
models=$WOODSHED_LIBRARY/models
mkdir -p "$repos/us"
python3 "$(dirname "$0")/hub.py" "$hub" &
server=$!
for _ in $(seq 100); do
	[ ! -s "$hub/port" ] || break
	sleep 0.1
done
[ -s "$hub/port" ] || skip_all 'no server: python3 cannot listen on 127.0.0.1'
port=$(cat "$hub/port")
export HF_ENDPOINT="http://127.0.0.1:$port"
export no_proxy='*'

# A model with weights of 8 MB, which nothing compresses.
make_model()
{
	mkdir -p "$repos/$1"
	cp "$fixtures/mono/config.json" "$fixtures/mono/generation_config.json" \
		"$fixtures/mono/spiece.model" "$repos/$1"
	head -c 8000000 /dev/urandom >"$repos/$1/model.safetensors"
}
make_model us/big

# rules JSON: what the server does from now on; a new log.
rules()
{
	rm -f "$hub/log"
	printf '[%s]\n' "${1-}" >"$hub/rules"
}

pull()
{
	run "$woodshed" pull --quiet --wait 0 "$@"
}

# fresh [JSON]: nothing is here, and these rules.
fresh()
{
	rm -rf "$models"
	rules "${1-}"
}

# The model $1 is here under the name $2, byte for byte and alone.
is_pulled()
{
	status_is 0 && [ ! -e "$models/.$2.part" ] &&
		diff -r -x .woodshed-repo "$repos/$1" "$models/$2" >/dev/null &&
		[ "$(cat "$models/$2/.woodshed-repo")" = "$1" ]
}

# Nothing under a final name.
is_absent()
{
	[ ! -e "$models/$1" ]
}

# log EXPRESSION: of `all`, the requests under these rules, and `sent`, bytes of
# model.safetensors.  The server may still be writing down the last one, or one before.
log()
{
	python3 -c '
import json, os, sys, time
now = os.stat(sys.argv[1] + "/rules").st_mtime_ns
for _ in range(50):
    path = sys.argv[1] + "/log"
    all = [json.loads(line) for line in open(path)] if os.path.exists(path) else []
    all = [r for r in all if r["rules"] == now]
    weights = [r for r in all if "model.safetensors" in r["path"]]
    sent = sum(r["sent"] for r in weights)
    if eval(f"({sys.argv[2]})"):
        sys.exit(0)
    time.sleep(0.05)
sys.exit(1)' "$hub" "$1"
}

# ---- what should happen -------------------------------------------------

fresh
pull us/big
check 'a model is pulled' is_pulled us/big big
check 'without a token' log 'not any(r["token"] for r in all)'
check 'each file once' log 'len(all) == 5 and sent == 8000000'
check 'and says where it is' grep -q "^big  8\.2 MB  $models/big$" "$scratch/out"
check 'in silence' succeeds
run "$woodshed" models
check 'it is installed' grep -q '^big  *musicgen  *8\.2 MB' "$scratch/out"
rules
pull us/big
check 'again: nothing to do' is_pulled us/big big
check 'and nothing is asked' log 'not all'

# What is of no use stays there; one kind of weights is taken.
mkdir -p "$repos/us/odd/onnx"
cp "$fixtures/odd/"* "$repos/us/odd"
for name in pytorch_model.bin model.fp32-00001-of-00001.safetensors state_dict.bin run.py \
	onnx/model.onnx .gitattributes flax_model.msgpack; do
	echo no >"$repos/us/odd/$name"
done
fresh
pull us/odd
check 'weights in parts' status_is 0
check 'and nothing that is not needed' [ "$(cd "$models/odd" && ls)" = "$(ls "$fixtures/odd")" ]
render -m odd -s 0.1 -o "$scratch/odd.wav" p
check 'renders' succeeds

# A model of diffusers, in folders.
make_diffusers()
{
	mkdir -p "$repos/$1"
	for part in text_encoder transformer vae; do
		mkdir "$repos/$1/$part"
		echo '{}' >"$repos/$1/$part/config.json"
	done
	mkdir "$repos/$1/scheduler" "$repos/$1/tokenizer"
	echo '{"_class_name": "StableAudioPipeline"}' >"$repos/$1/model_index.json"
	echo '{}' >"$repos/$1/scheduler/scheduler_config.json"
	echo x >"$repos/$1/tokenizer/spiece.model"
	head -c 30000 /dev/urandom >"$repos/$1/text_encoder/model.safetensors"
	head -c 30000 /dev/urandom >"$repos/$1/vae/diffusion_pytorch_model.safetensors"
	head -c 30000 /dev/urandom >"$repos/$1/transformer/diffusion_pytorch_model.safetensors"
	echo 'the licence' >"$repos/$1/LICENSE.md"
}
make_diffusers us/folders
fresh
pull us/folders
check 'a model in folders' is_pulled us/folders folders
echo no >"$repos/us/folders/model.safetensors"
echo no >"$repos/us/folders/model.ckpt"
mv "$models/folders" "$scratch/kept"
pull us/folders
check 'without the whole in one file' diff -r "$scratch/kept" "$models/folders"
rm -r "$models/folders" "$repos/us/folders/vae/diffusion_pytorch_model.safetensors"
pull us/folders
check 'a part without weights' fails_with 1 "there are no weights in 'vae/'"
check 'is not begun' holds_only "$models"

# ---- cuts ---------------------------------------------------------------

fresh '{"match": "model.safetensors", "times": 20, "cut": 390000}'
run "$woodshed" pull --json --quiet --wait 0 --tries 2 us/big
check '20 cuts' is_pulled us/big big
check '21 requests' log 'len(weights) == 21'
check 'no byte twice' log 'sent == 8000000'
check 'as it says itself' python3 -c '
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
steps = [x for x in lines if x["type"] == "progress"]
assert lines[-1]["type"] == "result" and lines[-1]["fetched"] == lines[-1]["bytes"]
assert [x["done"] for x in steps] == sorted(x["done"] for x in steps)
assert steps[-1]["done"] == steps[-1]["total"] == lines[-1]["bytes"]
assert all({"file", "rate", "eta_s"} <= set(x) for x in steps)' "$scratch/out"

fresh '{"match": "model.safetensors", "times": 3, "cut": 2000000, "reset": true}'
pull us/big
check 'lines that are reset' is_pulled us/big big

fresh '{"match": "model.safetensors", "cut": 0}'
pull us/big
check 'nothing ever comes' fails_with 1 'gave up after 5 tries, what is here is kept'
check 'after five requests' log 'len(weights) == 5'
check 'and is absent' is_absent big

fresh '{"match": "model.safetensors", "cut": 3000000, "times": 1}, {"match": "model.safetensors", "cut": 0}'
pull --tries 2 us/big
check 'given up' fails_with 1 'gave up after 2 tries'
rules
pull us/big
check 'the next pull goes on' is_pulled us/big big
check 'where that ended' log 'sent == 5000000 and weights[0]["range"] == "bytes=3000000-"'
check 'and asks for nothing else' log 'len(all) == 2'

# Stopped from outside.
fresh '{"match": "model.safetensors", "slow": 0.2}'
"$woodshed" pull --json us/big >"$scratch/json" 2>"$scratch/err" &
pid=$!
for _ in $(seq 200); do
	! grep -q '"model.safetensors".*"done": [1-9]' "$scratch/json" || break
	sleep 0.05
done
pull us/big
check 'two pulls of one model' fails_with 1 "'big' is being pulled by another woodshed"
kill -INT "$pid"
status=0
wait "$pid" || status=$?
check 'Ctrl-C' status_is 130
check 'says that it goes on' grep -q 'pull again to go on' "$scratch/err"
check 'leaves no model' is_absent big
check 'but what came' [ "$(stat -c %s "$models/.big.part/model.safetensors."*.part)" -gt 10000 ]
rules
pull us/big
check 'after it the pull goes on' is_pulled us/big big
check 'within the file' log 'len(weights) == 1 and weights[0]["range"] and 0 < sent < 8000000'

fresh '{"match": "model.safetensors", "slow": 0.2}'
"$woodshed" pull --quiet us/big >"$scratch/json" 2>"$scratch/err" &
pid=$!
for _ in $(seq 200); do
	[ "$(stat -c %s "$models/.big.part/model.safetensors."*.part 2>/dev/null || echo 0)" -lt 50000 ] || break
	sleep 0.05
done
kill -KILL "$pid"
wait "$pid" 2>/dev/null || :
rules
pull us/big
check 'after kill -9 the pull goes on' is_pulled us/big big
check 'within the file, too' log 'len(weights) == 1 and weights[0]["range"]'

# A disk that takes no more: here, a limit on the size of files.
fresh
# shellcheck disable=SC2016
run sh -c 'ulimit -f 4000; exec "$@"' sh "$woodshed" pull --quiet us/big
check 'a file that cannot be written' fails_with 1 'File too large'
check 'is absent' is_absent big
rules
pull us/big
check 'with room for it the pull goes on' is_pulled us/big big
check 'from there' log 'len(weights) == 1 and weights[0]["range"] == "bytes=2048000-"'

# ---- servers that are busy, or want to be left alone --------------------

fresh '{"match": "/tree/", "status": 503, "times": 2}, {"match": "config.json", "status": 502, "times": 2}'
pull us/big
check 'errors of the server pass' is_pulled us/big big
fresh '{"match": "/tree/", "status": 500}'
pull us/big
check 'errors of the server that stay' fails_with 1 'gave up after 5 tries, what is here is kept: the server answers 500'
check 'leave nothing' holds_only "$models"
fresh '{"match": "/tree/", "status": 429, "times": 1, "headers": {"Retry-After": "1"}}'
pull us/big
check 'too many requests' is_pulled us/big big
check 'it waits as long as it is told' log 'all[1]["at"] - all[0]["at"] >= 1'
fresh '{"match": "/tree/", "status": 429, "headers": {"Retry-After": "3600"}}'
pull us/big
check 'but not for an hour' fails_with 1 'wants to be left alone for 60 minutes'
check 'and does not insist' log 'len(all) == 1'
fresh '{"match": "config.json", "status": 418}'
pull us/big
check 'an answer that makes no sense' fails_with 1 'answers 418'
fresh '{"match": "/tree/", "times": 1, "delay": 5}'
pull --timeout 1 us/big
check 'a line that falls silent' is_pulled us/big big
fresh
HF_ENDPOINT=http://127.0.0.1:1 pull --tries 2 us/big
check 'no server' fails_with 1 'check the network'

# ---- who may ------------------------------------------------------------

fresh
pull us/none
check 'no such model' fails_with 1 "there is no model 'us/none' at"
gated='{"match": "/resolve/", "token": "hf_good", "refuse": 403, "headers": {"X-Error-Code": "GatedRepo"}}'
fresh '{"match": "/resolve/", "status": 401, "headers": {"X-Error-Code": "GatedRepo"}}'
pull us/big
check 'a gated model without a token' fails_with 1 "accept it at $HF_ENDPOINT/us/big, make a token"
check 'says where it goes' grep -q "HF_TOKEN or the file '$HF_HOME/token'" "$scratch/err"
fresh "$gated"
export HF_TOKEN=hf_other
pull us/big
check 'a token of somebody who did not accept' fails_with 1 'the owner of this token has not'
export HF_TOKEN=hf_good
pull us/big
check 'with the right token' is_pulled us/big big
unset HF_TOKEN
mkdir -p "$HF_HOME"
echo hf_good >"$HF_HOME/token"
fresh "$gated"
pull us/big
check 'from its usual file' is_pulled us/big big
fresh '{"match": "/tree/", "status": 401}'
pull us/big
check 'a token that is refused' fails_with 1 'refuses the token (status 401)'
printf 'two words\n' >"$HF_HOME/token"
pull us/big
check 'a file that holds no token' fails_with 1 'does not hold a token'
echo hf_good >"$HF_HOME/token"
mkdir -p "$repos/stabilityai"
make_diffusers stabilityai/stable-audio-open-1.0
fresh '{"match": "/resolve/", "status": 403}'
pull stable-audio-open-1.0
check 'a known gated model' fails_with 1 'accept it at https://huggingface.co/stabilityai/stable-audio-open-1.0'

# ---- other places -------------------------------------------------------

fresh '{"match": "/cdn/"}, {"match": "safetensors", "redirect": "http://localhost:{port}/cdn{path}"}'
pull us/big
check 'files from another host' is_pulled us/big big
check 'which gets no token' log 'all[0]["token"] == "Bearer hf_good" and
	[r["token"] for r in all if r["host"].startswith("localhost")] == [None]'
fresh '{"match": "/cdn/", "times": 3, "cut": 1000000}, {"match": "/cdn/"},
	{"match": "safetensors", "redirect": "http://localhost:{port}/cdn{path}"}'
pull us/big
check 'cut there' is_pulled us/big big
check 'each byte once' log 'sum(r["sent"] for r in weights if "/cdn/" in r["path"]) == 8000000'
fresh '{"match": "/cdn/", "status": 403, "times": 1}, {"match": "/cdn/"},
	{"match": "safetensors", "redirect": "http://localhost:{port}/cdn{path}"}'
pull us/big
check 'a signed address that ran out' is_pulled us/big big
fresh '{"match": "safetensors", "redirect": "/cdn{path}", "times": 1}'
pull us/big
check 'another place of the same host' is_pulled us/big big
check 'which may have the token' log 'all[-1]["token"] == "Bearer hf_good" and "/cdn/" in all[-1]["path"]'
fresh '{"match": "safetensors", "redirect": "http://127.0.0.1:{port}{path}"}'
pull us/big
check 'in a circle' fails_with 1 'in a circle'
for place in file:///etc/passwd ftp://127.0.0.1/x http://u:p@127.0.0.1/x gopher://127.0.0.1/; do
	fresh "{\"match\": \"safetensors\", \"redirect\": \"$place\"}"
	pull us/big
	check "to $place" fails_with 1 'not safe'
done
rm "$HF_HOME/token"
for endpoint in ftp://127.0.0.1 127.0.0.1:80 'http://a b' 'http://user@127.0.0.1' 'http://' 'http://x/?y='; do
	HF_ENDPOINT=$endpoint pull us/big
	check "HF_ENDPOINT '$endpoint'" fails_with 2 'HF_ENDPOINT is'
done

# ---- lies ---------------------------------------------------------------

fresh '{"match": "model.safetensors", "norange": true, "cut": 5000000, "times": 2}'
pull us/big
check 'a server that knows no ranges' is_pulled us/big big
fresh '{"match": "model.safetensors", "flip": true, "times": 1}'
pull us/big
check 'wrong bytes, once' is_pulled us/big big
fresh '{"match": "model.safetensors", "flip": true}'
pull us/big
check 'wrong bytes' fails_with 1 'their hash is wrong'
check 'are given up' log 'len(weights) == 2'
check 'and installed never' is_absent big
fresh '{"match": "/config.json", "flip": true}'
pull us/big
check 'wrong bytes of a small file' fails_with 1 'their hash is wrong'
for length in 1000 -1000; do
	fresh "{\"match\": \"model.safetensors\", \"length\": $length}"
	pull us/big
	check "a length that is off by $length" fails_with 1 'another size'
	check 'is never installed' is_absent big
done
fresh '{"match": "/tree/", "sizes": {"model.safetensors": 7000000}}'
pull us/big
check 'a list with too small a size' fails_with 1 'not what its list promises'
fresh '{"match": "/tree/", "sizes": {"model.safetensors": 9000000}}'
pull us/big
check 'a list with too large a size' fails_with 1 'not what its list promises'
fresh '{"match": "/tree/", "sizes": {"model.safetensors": 1000000000000}}'
pull us/big
check 'more than the disk holds' fails_with 1 "'big' needs 1.0 TB more, and the disk of"
check 'is not begun' log 'len(all) == 1'
fresh '{"match": "model.safetensors", "cut": 3000000, "times": 1}, {"match": "model.safetensors", "shift": 1000, "times": 1}'
pull us/big
check 'another range than was asked for' is_pulled us/big big
fresh '{"match": "model.safetensors", "cut": 3000000, "times": 1},
	{"match": "model.safetensors", "status": 416, "times": 1}'
pull us/big
check 'no such range' is_pulled us/big big
fresh '{"match": "model.safetensors", "range": true, "status": 416}, {"match": "model.safetensors", "cut": 3000000}'
pull us/big
check 'never such a range' fails_with 1 'fewer bytes'

# What changes between two pulls, and within one.
fresh '{"match": "model.safetensors", "cut": 3000000, "times": 1}, {"match": "model.safetensors", "cut": 0}'
pull --tries 1 us/big
check 'given up again' fails_with 1 'gave up'
make_model us/big
rules
pull us/big
check 'a file that changed between two pulls' is_pulled us/big big
check 'comes whole' log 'sent == 8000000 and not weights[0]["range"]'
cp -r "$repos/us/big" "$repos/us/other"
head -c 8000000 /dev/urandom >"$repos/us/other/model.safetensors"
fresh '{"match": "model.safetensors", "headers": {"X-Linked-Etag": "\"0000000000000000000000000000000000000000000000000000000000000000\""}, "times": 1}'
pull us/big
check 'a file that changed within one' is_pulled us/big big
check 'brings a new list' log 'len([r for r in all if "/tree/" in r["path"]]) == 2'
fresh '{"match": "model.safetensors", "headers": {"X-Linked-Etag": "\"0000000000000000000000000000000000000000000000000000000000000000\""}}'
pull us/big
check 'a file that never stays' fails_with 1 'has changed on the server'
fresh
mkdir -p "$models/.big.part/vae"
echo old >"$models/.big.part/model.safetensors.0000.part"
echo old >"$models/.big.part/vae/config.json"
cp "$repos/us/other/model.safetensors" "$models/.big.part"
cp "$repos/us/big/spiece.model" "$models/.big.part"
pull us/big
check 'what an older pull left' is_pulled us/big big
check 'is kept where it is right' log 'not any("spiece" in r["path"] for r in all)'

# ---- lists --------------------------------------------------------------

# listed TEXT WORDS
listed()
{
	fresh "{\"match\": \"/tree/\", \"list\": $(printf %s "$1" | python3 -c 'import json, sys; print(json.dumps(sys.stdin.read()))')}"
	pull us/big
	check "the list $(printf %s "$1" | head -c 60)" fails_with 1 "$2"
	check 'leaves nothing' holds_only "$models"
}
blob='"type": "file", "oid": "0123456789012345678901234567890123456789"'
listed '' 'list of files is none'
listed '{"error": "x"}' 'list of files is none'
listed '[[[[' 'list of files is none'
listed '[]' 'neither config.json nor'
listed "$(printf '[%.0s' $(seq 3000))" 'list of files is none'
listed "$(head -c 1100000 /dev/zero | tr '\0' ' ')" 'does not end'
listed "[{$blob, \"path\": \"config.json\", \"size\": -1}]" 'senseless size'
listed "[{$blob, \"path\": \"config.json\", \"size\": 1e300}]" 'senseless size'
listed "[{$blob, \"path\": \"config.json\", \"size\": 99999999999999999}]" 'senseless size'
listed '[{"type": "file", "path": "config.json", "size": 1, "oid": "x"}]' 'no checksum'
listed '[{"type": "file", "path": "config.json", "size": 1, "lfs": {"oid": "../x", "size": 1}}]' 'no checksum'
listed "[{$blob, \"path\": 5, \"size\": 1}]" 'without a path'
listed "[{$blob, \"path\": \"config.json\", \"size\": 1}, {$blob, \"path\": \"config.json\", \"size\": 1}]" 'twice'
listed "[{$blob, \"path\": \"../config.json\", \"size\": 1}, {$blob, \"path\": \"/etc/config.json\", \"size\": 1}]" \
	'neither config.json nor'
listed "[{$blob, \"path\": \"config.json\", \"size\": 1}, {$blob, \"path\": \"model.safetensors.index.json\", \"size\": 1},
	{$blob, \"path\": \"model-00001-of-00002.safetensors\", \"size\": 1}]" "'model-00002-of-00002.safetensors' is missing"
fresh '{"match": "/tree/", "headers": {"Link": "<http://x/>; rel=\"next\""}}'
pull us/big
check 'a list of many pages' fails_with 1 'more than 1000 files'

mkdir -p "$repos/us/bert"
echo '{"model_type": "bert"}' >"$repos/us/bert/config.json"
head -c 100000 /dev/urandom >"$repos/us/bert/model.safetensors"
fresh
pull us/bert
check 'a model of another kind' fails_with 1 'of another kind'
check 'costs one small file' log 'len(all) == 2'
check 'which does not stay' holds_only "$models"

# ---- names --------------------------------------------------------------

mkdir -p "$repos/facebook" "$repos/mallory" "$models"
make_model facebook/musicgen-small
cp -r "$repos/us/big" "$repos/mallory/musicgen-small"
fresh
pull mallory/musicgen-small
check "somebody else's model of a known name" is_pulled mallory/musicgen-small mallory--musicgen-small
run "$woodshed" pull --wait 0 musicgen-small
check 'does not take it' is_pulled facebook/musicgen-small musicgen-small
check 'the licence is told' grep -q 'CC-BY-NC-4.0: what it makes is not for commercial use' "$scratch/err"
run "$woodshed" models --json
check 'each is what it is' python3 -c '
import json, sys
models = {m["name"]: m for m in map(json.loads, open(sys.argv[1]))}
assert models["musicgen-small"]["installed"] and models["musicgen-small"]["commercial"] == "no"
other = models["mallory--musicgen-small"]
assert other["repo"] == "mallory/musicgen-small" and other["licence"] is None
' "$scratch/out"
mkdir -p "$models/big"
pull us/big
check 'a folder that is in the way' fails_with 1 "is there, but not from 'us/big'"

# ---- the cache of other programs ----------------------------------------

cached=$HF_HOME/hub/models--us--cached
mkdir -p "$cached/refs" "$cached/blobs" "$cached/snapshots/0123abc"
printf 0123abc >"$cached/refs/main"
for name in config.json generation_config.json model.safetensors spiece.model; do
	cp "$fixtures/mono/$name" "$cached/blobs/$name-blob"
	ln -s "../../blobs/$name-blob" "$cached/snapshots/0123abc/$name"
done
fresh
run "$woodshed" models
check "a model in Hugging Face's cache is listed" \
	grep -q '^cached  *musicgen .*(in the cache of Hugging Face)' "$scratch/out"
render -m cached -s 0.1 -o "$scratch/cached.wav" p
check 'renders' succeeds
pull us/cached
check 'and need not be pulled' grep -q "snapshots/0123abc$" "$scratch/out"
check 'nothing is asked' log 'not all'
rm "$cached/blobs/model.safetensors-blob"
run "$woodshed" models
check 'without its weights it is not' [ "$(grep -c '^cached' "$scratch/out")" = 0 ]
done_testing
