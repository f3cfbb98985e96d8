#!/bin/sh
# Folders that are no sound model: exit status 1, one line, nothing written.
# shellcheck disable=SC2034 # for checkpoint.sh
# shellcheck source=tests/faults/checkpoint.sh
. "$(dirname "$0")/checkpoint.sh"

short='-s 0.1'

# rewrite PYTHON: runs it in the copy; `header`, `payload` and `save` are there for
# model.safetensors, `config` for config.json, which is written back.
rewrite()
{
	(cd "$copy" && python3 - "$1" <<'PYTHON'
import json, struct, sys

with open("config.json") as f:
    config = json.load(f)
try:
    with open("model.safetensors", "rb") as f:
        data = f.read()
    size = struct.unpack_from("<Q", data)[0]
    header, payload = json.loads(data[8:8 + size]), bytearray(data[8 + size:])
except FileNotFoundError:  # in shards, or PyTorch's
    header = payload = None


def save(size=None):
    text = json.dumps(header).encode()
    with open("model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text) if size is None else size) + text + payload)


exec(sys.argv[1])
with open("config.json", "w") as f:
    json.dump(config, f)
PYTHON
	) || echo "rewrite failed: $1" >&2
}

fresh mono
head -c 100000 "$fixtures/mono/model.safetensors" >"$copy/model.safetensors"
refused 1 'a file that was cut' 'model.safetensors'
head -c -1 "$fixtures/mono/model.safetensors" >"$copy/model.safetensors"
refused 1 'a file that lacks one byte' 'model.safetensors'
: >"$copy/model.safetensors"
refused 1 'an empty file' 'model.safetensors'
rm "$copy/model.safetensors"
refused 1 'no weights' 'weights'
mkdir "$copy/model.safetensors"
refused 1 'a folder in place of the weights' 'model.safetensors'

fresh mono
rewrite 'save(2**63)'
refused 1 'a header longer than the file' 'model.safetensors'
fresh mono
rewrite 'save(99999999)'
refused 1 'a header as long as is allowed' 'model.safetensors'
fresh mono
rewrite 'a, b = [k for k in header if k != "__metadata__"][:2]
header[b]["data_offsets"] = header[a]["data_offsets"]
save()'
refused 1 'tensors that overlap' 'model.safetensors'
fresh mono
rewrite 'header["decoder.model.decoder.layer_norm.weight"]["data_offsets"][1] += 2**40
save()'
refused 1 'offsets outside of the file' 'model.safetensors'
fresh mono
rewrite 'for k in "decoder.lm_heads.0.weight", "decoder.model.decoder.layers.1.fc1.weight":
    header[k + "x"] = header.pop(k)
save()'
refused 1 'two tensors that are missing' 'missing tensors: 2'
check 'both are named' grep -q 'lm_heads.0.*fc1\|fc1.*lm_heads.0' "$scratch/err"
fresh mono
rewrite 'header["decoder.model.decoder.layers.0.fc1.weight"]["shape"].reverse()
save()'
refused 1 'a tensor of another shape' 'instead of'
fresh mono
rewrite 'at = header["decoder.model.decoder.layers.0.fc1.weight"]["data_offsets"][0]
payload[at:at + 4] = struct.pack("<f", float("nan"))
save()'
refused 1 'a weight that is not a number' 'NaN'
fresh mono
rewrite 'at = header["audio_encoder.quantizer.layers.0.codebook.embed"]["data_offsets"][0]
payload[at:at + 4] = struct.pack("<f", float("-inf"))
save()'
refused 1 'an infinite weight' 'infinite'
for precision in f32 bf16 int8; do
	refused 1 "an infinite weight in $precision" 'infinite' --precision "$precision"
done

# Sizes that no model has, each alone.
for change in 'decoder.hidden_size = 2**40' 'decoder.hidden_size = -8' 'decoder.hidden_size = 33' \
	'decoder.num_hidden_layers = 0' 'decoder.num_hidden_layers = 10**9' \
	'decoder.num_attention_heads = 0' 'decoder.num_attention_heads = 7' \
	'decoder.vocab_size = 2**62' 'decoder.num_codebooks = 10**6' 'decoder.audio_channels = 3' \
	'decoder.max_position_embeddings = 0' 'decoder.ffn_dim = 1.5' 'decoder.hidden_size = "32"' \
	'decoder.activation_function = "tanh"' 'text_encoder.num_layers = 10**7' \
	'text_encoder.d_kv = 0' 'text_encoder.vocab_size = -1' \
	'audio_encoder.upsampling_ratios = []' 'audio_encoder.upsampling_ratios = [0]' \
	'audio_encoder.upsampling_ratios = [64] * 8' 'audio_encoder.sampling_rate = 0' \
	'audio_encoder.num_filters = 2**30' 'audio_encoder.codebook_size = 2**31' \
	'audio_encoder.kernel_size = 10**9' 'audio_encoder.audio_channels = 2' \
	'audio_encoder.norm_type = "time_group_norm"' 'audio_encoder.num_lstm_layers = 10**6'; do
	fresh mono
	part=${change%%.*}
	rest=${change#*.}
	rewrite "config['$part']['${rest%% *}'] = ${rest#*= }"
	render -m "$copy" -s 0.1 -o "$dir/x.wav" p
	check "config: $change" fails_with 1 'woodshed'
done
check 'config: nothing is written' holds_only "$dir"
fresh mono
echo '{"model_type": "musicgen", ' >"$copy/config.json"
refused 1 'config.json is cut' 'config.json'
printf '[%.0s' $(seq 5000) >"$copy/config.json"
refused 1 'config.json is nested' 'config.json'
echo '{"model_type": "bert"}' >"$copy/config.json"
refused 1 'another kind of model' 'bert'
echo '{"model_type": "musicgen_melody"}' >"$copy/config.json"
refused 1 'a relative that is not supported' 'melody'

fresh mono
rm "$copy/spiece.model"
refused 1 'no tokenizer' 'spiece.model'
head -c 5000 "$fixtures/mono/spiece.model" >"$copy/spiece.model"
refused 1 'a tokenizer that was cut' 'spiece.model'

# PyTorch files: nothing in them runs.
fresh bin
(cd "$copy" && python3 - <<'PYTHON'
import os, zipfile

with zipfile.ZipFile("pytorch_model.bin") as old, zipfile.ZipFile("new", "w") as new:
    for item in old.infolist():
        body = old.read(item)
        if item.filename.endswith("data.pkl"):
            body = b"\x80\x02cos\nsystem\nX\x0d\x00\x00\x00touch pwned.x\x85R."
        new.writestr(item.filename, body)
os.replace("new", "pytorch_model.bin")
PYTHON
)
refused 1 'a pickle that calls' 'os'
check 'and is not obeyed' [ ! -e pwned.x ]
check 'nor in its folder' [ ! -e "$copy/pwned.x" ]
fresh bin
head -c 200000 "$fixtures/bin/pytorch_model.bin" >"$copy/pytorch_model.bin"
refused 1 'a PyTorch file that was cut' 'pytorch_model.bin'

# Shards.
fresh odd
rm "$copy/model-00003-of-00006.safetensors"
refused 1 'a shard that is missing' 'model-00003-of-00006.safetensors'
fresh odd
sed -i 's/"model-00002-of-00006.safetensors"/"..\/model\/model-00002-of-00006.safetensors"/' \
	"$copy/model.safetensors.index.json"
refused 1 'a shard in another folder' 'plain name'

# Memory: what cannot be had is told, not tried.  An embedding of 256 MB, nearly
# all of it a hole in the file.
fresh mono
rewrite 'name, rest, at = "text_encoder.shared.weight", bytearray(), 0
width = header[name]["shape"][1]
for k in sorted((k for k in header if k not in (name, "__metadata__")),
                key=lambda k: header[k]["data_offsets"]):
    a, b = header[k]["data_offsets"]
    rest += payload[a:b]
    header[k]["data_offsets"] = [at, at + b - a]
    at += b - a
rows = 2**28 // width // 4
header[name] = {"dtype": "F32", "shape": [rows, width], "data_offsets": [at, at + 2**28]}
config["text_encoder"]["vocab_size"] = rows
payload = rest
save()
with open("model.safetensors", "ab") as f:
    f.truncate(f.tell() + 2**28)'
# limited COMMAND...: with 250 MB of addresses, which the sanitizers' own need.
limited()
{
	# shellcheck disable=SC2016
	run sh -c 'ulimit -v 250000; exec "$@"' sh "$@"
}
limited "$woodshed" --version
if [ "$status" = 0 ]; then
	limited "$woodshed" render -m "$copy" -s 0.1 --threads 1 --precision f32 -o "$dir/x.wav" p
	check 'too little memory' fails_with 1 'of memory'
	check 'too little memory: nothing is written' holds_only "$dir"
else
	skip 'too little memory' 'this build needs more addresses than the limit that is tested'
fi
render -m "$copy" -s 0.1 -o "$dir/x.wav" p
check 'with enough it renders' succeeds
done_testing
