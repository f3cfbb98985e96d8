#!/bin/sh
# AudioLDM 2: folders that are no sound model, and options that do not fit.
# shellcheck disable=SC2034 # for checkpoint.sh
# shellcheck source=tests/faults/checkpoint.sh
. "$(dirname "$0")/checkpoint.sh"

model=music
short='--steps 3 --seconds 0.05'

for part in unet vae vocoder text_encoder text_encoder_2 projection_model language_model; do
	fresh
	rm -r "${copy:?}/$part"
	refused 1 "no $part" "lacks the folder '$part'"
done
fresh
rm "$copy/unet"/*.safetensors
refused 1 'no weights in unet' 'holds no weights'
fresh
rm "$copy/vae/config.json"
refused 1 'no description of vae' 'config.json'
fresh
rm -r "$copy/scheduler"
refused 1 'no scheduler' "lacks the folder 'scheduler'"
fresh
rm "$copy/tokenizer/tokenizer.json"
refused 1 'no tokenizer' 'tokenizer.json, nor vocab.json'
fresh
rm "$copy/tokenizer_2/spiece.model"
refused 1 'no second tokenizer' 'spiece.model'
fresh
rm -r "$copy/feature_extractor"
refused 1 'no feature extractor to rank with' 'preprocessor_config.json' --rank
render -m "$copy" --steps 1 --seconds 0.05 --rank --json -o "$scratch/0.wav" p
check 'is told before anything is made' sh -c "! grep -q '\"render\"' '$scratch/out'"
render -m "$copy" --steps 1 --seconds 0.05 -o "$scratch/0.wav" p
check 'without ranking it is not needed' succeeds
fresh
for words in tokenizer tokenizer_2; do
	edit "$words/tokenizer_config.json" 'config["model_max_length"] = int(1e30)'
done
render -m "$copy" --steps 1 --seconds 0.05 -o "$scratch/0.wav" p
check 'tokenizers without a limit' succeeds

# Schedulers of another kind.
fresh
edit scheduler/scheduler_config.json 'config["_class_name"] = "PNDMScheduler"'
refused 1 'another scheduler' "class 'PNDMScheduler' is not supported"
fresh
edit scheduler/scheduler_config.json 'config["clip_sample"] = True'
refused 1 'samples that are clipped' 'clip_sample is not supported'
fresh
edit scheduler/scheduler_config.json 'config["beta_schedule"] = "squaredcos_cap_v2"'
refused 1 'another schedule' 'beta_schedule'

fresh
edit scheduler/scheduler_config.json 'config["_class_name"] = "CosineDPMSolverMultistepScheduler"'
refused 1 "Stable Audio's scheduler" 'CosineDPMSolverMultistepScheduler'
fresh
edit scheduler/scheduler_config.json 'del config["_class_name"]'
refused 1 'a scheduler of no kind' '_class_name'

# Parts of other models, and whole ones.
fresh
edit model_index.json 'config["_class_name"] = "AudioLDMPipeline"'
refused 1 'another pipeline' "'AudioLDMPipeline', which this version does not render"
fresh
edit model_index.json 'config["_class_name"] = "StableAudioPipeline"'
refused 1 'the name of another pipeline' "lacks the folder 'transformer'"
fresh
rm "$copy/model_index.json"
refused 1 'no description of the pipeline' 'holds no known model'
fresh
rm -r "${copy:?}/vae"
cp -r "$fixtures/odd/vae" "$copy/vae"
refused 1 'the VAE of another model' 'do not fit together'
fresh
rm -r "${copy:?}/unet"
cp -r "$fixtures/odd/unet" "$copy/unet"
refused 1 'the UNet of another model' 'do not fit together'
fresh
edit unet/config.json 'config["layers_per_block"] = 2'
refused 1 'a layer that is missing' 'resnets.1'
fresh
edit unet/config.json 'config["_class_name"] = "UNet2DConditionModel"'
refused 1 'another UNet' "class 'UNet2DConditionModel' is not supported"

for change in 'attention_head_dim"] = 5' 'block_out_channels"] = []' 'norm_num_groups"] = 3' \
	'sample_size"] = 10**9' 'cross_attention_dim"] = [[None]]' 'in_channels"] = 0' \
	'layers_per_block"] = 10**9' 'down_block_types"] = []' 'class_embed_type"] = "timestep"'; do
	fresh
	edit unet/config.json "config[\"$change"
	refused 1 "unet: $change" 'config.json'
done
for change in 'upsample_rates"] = [5, 4]' 'upsample_rates"] = [0, 4, 2]' 'model_in_dim"] = 31' \
	'normalize_before"] = True' 'resblock_dilation_sizes"] = [[1], [1, 3], [5]]'; do
	fresh
	edit vocoder/config.json "config[\"$change"
	refused 1 "vocoder: $change" ''
done
for change in 'num_attention_heads"][0] = 0' 'num_attention_heads"][0] = None' \
	'depths"] = [1] * 5' 'window_size"] = 7'; do
	fresh
	edit text_encoder/config.json "config[\"audio_config\"][\"$change"
	refused 1 "audio tower: $change" 'audio_config' --rank
done
fresh
rm "$copy/vae/config.json"
mkfifo "$copy/vae/config.json"
refused 1 'a pipe in place of a description' "vae/config.json' is not a file"
fresh
edit language_model/config.json 'config["n_positions"] = 20'
refused 1 'too few positions' ''

# Weights that are numbers, results that are not.
fresh
poison unet conv_in.weight nan
refused 1 'a weight that is not a number' 'NaN'
fresh
python3 - "$copy" <<'PYTHON'
# The last convolution of the UNet in f32, and so large that its sums are not numbers.
import glob, json, struct, sys

path = glob.glob(sys.argv[1] + "/unet/*.safetensors")[0]
data = open(path, "rb").read()
size = struct.unpack_from("<Q", data)[0]
header = json.loads(data[8:8 + size])
body = b""
for name, entry in header.items():
    if name == "__metadata__":
        continue
    first, end = entry["data_offsets"]
    part = data[8 + size + first:8 + size + end]
    if name == "conv_out.weight":
        entry["dtype"] = "F32"
        part = struct.pack("<f", 3e38) * (len(part) // 2)
    entry["data_offsets"] = [len(body), len(body) + len(part)]
    body += part
text = json.dumps(header).encode()
with open(path, "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + body)
PYTHON
refused 1 'a latent that is not a number' 'step 1 of 3'

# Lengths, samplers, options of others.
fresh
refused 2 'longer than the window' 'longer than the 0.16 s' --seconds 1
refused 2 'another sampler' 'choose one of these: ddim, dpmpp-2m' --sampler k-heun
refused 2 'more steps than there are' 'steps are not possible' --steps 2000
refused 2 'all steps' 'too many' --steps 1000
refused 2 'all steps of another sampler' 'too many' --steps 1000 --sampler dpmpp-2m
refused 2 'tokens' 'belongs to MusicGen' --temperature 2
refused 1 'int8' 'not in int8' --precision int8
refused 2 'audio to begin with' 'belongs to Stable Audio' --init "$scratch/0.wav"
refused 2 'a range of sigma' '--sigma-max belongs to Stable Audio' --sigma-max 10
render -m "$copy" --steps 1 --seconds 0.05 --cfg 1 --negative n -o "$scratch/0.wav" p
check 'a negative prompt without guidance' says 'negative prompt has no effect'
python3 - "$scratch" <<'PYTHON'
import json, struct, sys

for name, n in (("good", 4 * 5 * 8), ("wide", 4 * 6 * 8)):
    text = json.dumps({"latents": dict(dtype="F32", shape=[4, n // 32, 8], data_offsets=[0, 4 * n])}).encode()
    with open(f"{sys.argv[1]}/{name}.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + bytes(4 * n))
PYTHON
refused 2 'noise for several' '--noise makes one take' --noise "$scratch/good.safetensors" --count 2
refused 2 'noise of another size' 'holds 192 values' --noise "$scratch/wide.safetensors"

# What works.
render -m "$copy" --steps 3 --seconds 0.05 --noise "$scratch/good.safetensors" -o "$scratch/1.wav" p
check 'noise from a file' succeeds
run "$woodshed" recipe --verify -m "$copy" "$scratch/1.wav"
check 'its recipe finds the noise' succeeds
render -m "$copy" --steps 4 --seconds 0.05 --sampler dpmpp-2m --preview 2 --seed 1 --negative p \
	-o "$scratch/3.wav" p
check 'a preview is there' test -s "$scratch/3-preview.wav"
run "$woodshed" recipe --verify -m "$copy" "$scratch/3.wav"
check 'a recipe with a negative prompt' succeeds
render -m "$copy" --steps 2 --seconds 0.05 --count 3 --seed 5 --rank -o "$scratch/4.wav" p
check 'takes that are ranked' succeeds
check 'all are shown, with scores' test "$(grep -c ' score ' "$scratch/out")" -eq 3

# Through the queue: the same scores, kept with the takes.
grep -o 'score .*' "$scratch/out" >"$scratch/scores"
run "$woodshed" queue -m "$copy" --steps 2 --seconds 0.05 --count 3 --seed 5 --rank p
check 'jobs that are ranked' succeeds
run "$woodshed" worker
check 'are done' succeeds
run "$woodshed" takes --order score --json
python3 -c 'import json, sys
for line in sys.stdin:
    print("score %.3f" % json.loads(line)["score"])' <"$scratch/out" >"$scratch/kept"
check 'their scores are those of render, the best first' cmp "$scratch/scores" "$scratch/kept"
run "$woodshed" queue -m "$fixtures/../stable_audio/whole" --rank p
check 'ranking with another model' fails_with 2 'belongs to AudioLDM 2'

# What a render takes besides the weights.
mkdir -p "$WOODSHED_LIBRARY/models"
cp -r "$fixtures/music" "$WOODSHED_LIBRARY/models"
run "$woodshed" doctor
check 'doctor tells what a render needs' grep -q 'bf16, about .* more to render' "$scratch/out"
done_testing
