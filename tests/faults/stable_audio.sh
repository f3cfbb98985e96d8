#!/bin/sh
# Stable Audio: folders that are no sound model, and options that do not fit.
# shellcheck disable=SC2034 # for checkpoint.sh
# shellcheck source=tests/faults/checkpoint.sh
. "$(dirname "$0")/checkpoint.sh"

model=whole
short='--steps 3'

for part in transformer vae text_encoder projection_model; do
	fresh
	rm -r "${copy:?}/$part"
	refused 1 "no $part" "lacks the folder '$part'"
	fresh
	rm "$copy/$part"/*.safetensors
	refused 1 "no weights in $part" 'holds no weights'
	fresh
	rm "$copy/$part/config.json"
	refused 1 "no description of $part" 'config.json'
done
fresh
rm -r "$copy/scheduler"
refused 1 'no scheduler' "lacks the folder 'scheduler'"
fresh
rm -r "$copy/tokenizer"
refused 1 'no tokenizer' 'tokenizer'
fresh
edit scheduler/scheduler_config.json 'config["_class_name"] = "DDIMScheduler"'
refused 1 'another scheduler' "class 'DDIMScheduler' is not supported"
fresh
edit scheduler/scheduler_config.json 'config["prediction_type"] = "epsilon"'
refused 1 'another prediction' 'prediction_type'
fresh
edit scheduler/scheduler_config.json 'config["sigma_min"] = 600'
refused 2 'sigmas in reverse' 'sigma cannot fall'
fresh
edit model_index.json 'config["_class_name"] = "AudioLDM2Pipeline"'
refused 1 'the name of another pipeline' 'lacks the folder'
fresh
edit model_index.json 'config["_class_name"] = "StableDiffusionPipeline"'
refused 1 'another pipeline' 'StableDiffusionPipeline'
fresh
edit model_index.json 'config["_class_name"] = "StableAudio3Pipeline"'
refused 1 'a later pipeline' 'Stable Audio 3'
fresh
rm -r "${copy:?}/vae"
cp -r "$fixtures/odd/vae" "$copy/vae"
refused 1 'the autoencoder of another model' 'do not fit together'
fresh
rm -r "${copy:?}/transformer"
cp -r "$fixtures/odd/transformer" "$copy/transformer"
refused 1 'the transformer of another model' 'do not fit together'
fresh
edit transformer/config.json 'config["num_layers"] = 3'
refused 1 'a layer that is missing' 'transformer_blocks.2'

for change in 'num_attention_heads"] = 3' 'num_key_value_attention_heads"] = 3' \
	'sample_size"] = 1e12' 'attention_head_dim"] = 7' 'num_layers"] = 10**9' \
	'time_proj_dim"] = 5' 'in_channels"] = 0'; do
	fresh
	edit transformer/config.json "config[\"$change"
	refused 1 "transformer: $change" ''
done
for change in 'downsampling_ratios"] = []' 'downsampling_ratios"] = [2]' \
	'downsampling_ratios"] = [64, 64, 64, 64]' 'channel_multiples"] = [1, 10**9]' \
	'sampling_rate"] = 0'; do
	fresh
	edit vae/config.json "config[\"$change"
	refused 1 "vae: $change" ''
done
fresh
edit tokenizer/tokenizer_config.json 'config["model_max_length"] = int(1e30)'
render -m "$copy" --steps 2 -o "$scratch/0.wav" p
check 'a tokenizer without a limit' succeeds
fresh
edit tokenizer/tokenizer_config.json 'config["model_max_length"] = 1'
refused 1 'a tokenizer without room' 'model_max_length'

# Weights that are numbers, results that are not.
fresh
poison transformer proj_in.weight nan
refused 1 'a weight that is not a number' 'NaN'
fresh
poison transformer proj_out.weight 3e38
poison transformer preprocess_conv.weight 3e38
refused 1 'a latent that is not a number' 'step 1 of 3'
fresh
poison vae decoder.conv1.weight_g 3e38
refused 1 'a sample that is not a number' 'decode'

# Lengths, samplers, noise.
fresh
refused 2 'longer than the window' 'longer than the' --seconds 1
refused 2 'another sampler' 'choose one of these' --sampler ddim
refused 2 'a sampler of the flow' 'choose one of these: dpmpp-2m-sde' --sampler pingpong
run "$woodshed" queue -m "$copy" --sweep-temperature 0.5,1 p
check 'no temperature is swept' fails_with 2 '--sweep-temperature belongs to MusicGen'
run "$woodshed" queue -m "$copy" --sampler k-huen p
check 'a sampler that there is not, in a job' fails_with 2 'k-heun, k-dpm-2'
refused 2 'one step' 'at least 2 steps' --steps 1
refused 2 'tokens' 'belongs to MusicGen' --temperature 2
refused 2 'strength of nothing' 'belongs to --init' --strength 0.5
refused 2 'no range' 'is no part of a file' --init "$0" --redo 5
refused 2 'a range backwards' 'is no part of a file' --init "$0" --redo 5-4
refused 1 'no audio' '--init' --init "$0"
refused 1 'no noise' '--noise' --noise "$0"
refused 1 'weights in place of noise' "holds no tensor 'latents'" \
	--noise "$copy/vae/diffusion_pytorch_model.safetensors"
refused 2 'noise for several' '--noise makes one take' --noise "$0" --count 2
python3 - "$scratch" <<'PYTHON'
import json, struct, sys

def save(name, fill=0, **tensors):
    header, at = {}, 0
    for k, (shape, n) in tensors.items():
        header[k] = dict(dtype="F32", shape=shape, data_offsets=[at, at + 4 * n])
        at += 4 * n
    text = json.dumps(header).encode()
    with open(f"{sys.argv[1]}/{name}.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + struct.pack("<f", fill) * (at // 4))

save("good", latents=([6, 24], 144), steps=([2, 6, 24], 288))
save("few", latents=([6, 24], 144), steps=([1, 6, 24], 144))
save("alone", latents=([6, 24], 144))
save("wide", latents=([6, 25], 150), steps=([2, 6, 25], 300))
save("askew", latents=([6, 24], 144), steps=([2, 6, 25], 300))
save("nan", fill=float("nan"), latents=([6, 24], 144), steps=([2, 6, 24], 288))
save("other", noise=([6, 24], 144))
PYTHON
refused 2 'too few draws' 'the draws of 1 steps' --noise "$scratch/few.safetensors"
refused 2 'no draws' 'the draws of 0 steps' --noise "$scratch/alone.safetensors"
refused 2 'noise of another size' 'holds 150 values' --noise "$scratch/wide.safetensors"
refused 1 'draws of another size' 'steps' --noise "$scratch/askew.safetensors"
refused 1 'draws that are no numbers' 'holds a value that is NaN' --noise "$scratch/nan.safetensors"
refused 1 'no latents' 'latents' --noise "$scratch/other.safetensors"

# What works: with noise from a file the seed has no say.
render -m "$copy" --steps 3 --noise "$scratch/good.safetensors" --seed 1 -o "$scratch/1.wav" p
check 'noise from a file' succeeds
render -m "$copy" --steps 3 --noise "$scratch/good.safetensors" --seed 2 -o "$scratch/2.wav" p
check 'whatever the seed' same_samples "$scratch/1.wav" "$scratch/2.wav"
run "$woodshed" recipe --verify -m "$copy" "$scratch/1.wav"
check 'its recipe finds the noise' succeeds
render -m "$copy" --steps 4 --preview 2 --seed 1 -o "$scratch/3.wav" p
check 'a preview is there' test -s "$scratch/3-preview.wav"
mkdir "$scratch/5-preview.wav"
render -m "$copy" --steps 4 --preview 2 --json -o "$scratch/5.wav" p
check 'a preview that cannot be written' fails_with 1 "5-preview.wav': it is a folder"
render -m "$copy" --steps 4 --init "$scratch/3.wav" --redo 0.01-0.02 -o "$scratch/4.wav" p
check 'a part made anew' succeeds
run "$woodshed" recipe --verify -m "$copy" "$scratch/4.wav"
check 'its recipe finds the audio' succeeds
head -c $(($(stat -c %s "$scratch/3.wav") - 800)) "$scratch/3.wav" >"$scratch/cut.wav"
render -m "$copy" --steps 4 --init "$scratch/cut.wav" -o "$scratch/8.wav" p
check 'what the file to begin with lacks is told' says "cut.wav' is damaged: the file lacks "
rm "$scratch/8.wav"
render -m "$copy" --recipe "$scratch/4.wav" --init "$scratch/3.wav" -o "$scratch/8.wav" p
check 'the same part, of audio that is named' same_samples "$scratch/4.wav" "$scratch/8.wav"
render -m "$copy" --steps 4 --seed 3 --init "$scratch/3.wav" --strength 0.9 -o "$scratch/8.wav" p
run "$woodshed" recipe --verify -m "$copy" --init "$scratch/3.wav" "$scratch/8.wav"
check 'the strength of audio that is named' succeeds

# Longer than the window: its beginning counts.
# noise NAME FRAMES: always the same, as far as it goes.
noise()
{
	python3 - "$scratch/$1.wav" "$2" <<'PYTHON'
import random, sys, wave

n = int(sys.argv[2])
with wave.open(sys.argv[1], "wb") as f:
    f.setparams((2, 2, 4000, n, "NONE", ""))
    f.writeframes(random.Random(1).randbytes(4 * 4000)[:4 * n])
PYTHON
	render -m "$copy" --steps 4 --seed 3 --init "$scratch/$1.wav" -o "$scratch/of-$1.wav" p
	check "audio to begin with: $1" succeeds
}
noise long 4000
noise window "$("$woodshed" recipe "$scratch/of-long.wav" | sed -n 's/.*"frames": \([0-9]*\).*/\1/p')"
check 'what is longer is cut' same_samples "$scratch/of-long.wav" "$scratch/of-window.wav"
run "$woodshed" recipe --verify -m "$copy" --init "$scratch/window.wav" "$scratch/of-long.wav"
check 'and known by what is left' succeeds

# A recipe of this engine with models of others: what they have no use for is dropped, even a
# file that is not there.
mkdir "$scratch/apart"
cp "$scratch/8.wav" "$scratch/apart"
refused 1 'a recipe whose audio is not there' 'name it with --init' --recipe "$scratch/apart/8.wav"
for other in musicgen/mono audioldm2/music; do
	other=$fixtures/../$other
	render -m "$other" --recipe "$scratch/apart/8.wav" -s 0.1 -o "$scratch/9.wav"
	check "$other: needs no such audio" succeeds
	run "$woodshed" recipe --verify -m "$other" "$scratch/9.wav"
	check "$other: the recipe makes the same again" succeeds
	run "$woodshed" recipe "$scratch/9.wav"
	check "$other: and tells nothing of it" sh -c "! grep -q 'init\|strength\|2m-sde' '$scratch/out'"
	run "$woodshed" queue -m "$other" --recipe "$scratch/apart/8.wav" -s 0.1 --dry-run
	check "$other: as a job, too" succeeds
done

render -m "$copy" --steps 3 --cfg 1 --negative n -o "$scratch/5.wav" p
check 'a negative prompt without guidance' says 'negative prompt has no effect'
for sampler in k-lms k-dpm-fast k-dpm-adaptive v-ddim v-ddim-cfgpp; do
	render -m "$copy" --steps 6 --sampler $sampler --init "$scratch/3.wav" --redo 0.01-0.02 \
		--preview 2 -o "$scratch/6.wav" p
	check "$sampler" succeeds
	run "$woodshed" recipe --verify -m "$copy" "$scratch/6.wav"
	check "$sampler again" succeeds
done
render -m "$copy" --steps 6 --sampler v-ddim --init "$scratch/3.wav" --strength 0.001 -o "$scratch/6.wav" p
check 'v-ddim with hardly any noise' succeeds
refused 2 'no least noise' 'leave out --sigma-min' --sampler v-ddim --sigma-min 0.1
fresh flow
refused 2 'a range of sigma for a flow' 'no range of sigma' --sigma-min 0.1

# What render refuses of a length, queue refuses, too.
for seconds in 0.00001 1000; do
	refused 2 "$seconds s" '--seconds: ' -s $seconds
	cp "$scratch/err" "$scratch/render"
	run "$woodshed" queue -m "$copy" -s $seconds p
	check 'nor is it queued' status_is 2
	check 'in the same words' same "$scratch/err" "$scratch/render"
done

# A decode that fails keeps its latents, and the job goes on from there: where they are nothing
# even that decoder says something.
fresh
poison vae decoder.conv1.weight_g 3e38
run "$woodshed" queue -m "$copy" --steps 3 --seed 7 p
check 'a job' succeeds
run "$woodshed" worker
check 'cannot be decoded' grep -q 'failed: decode: a sample is not a number' "$scratch/out"
work=$WOODSHED_LIBRARY/work
latents=$(find "$work" -name '1-*')
cp "$latents" "$scratch/latents"
python3 -c 'import os, sys; open(sys.argv[1], "r+b").write(bytes(os.path.getsize(sys.argv[1])))' "$latents"
run "$woodshed" retry 1
run "$woodshed" worker
check 'its latents are decoded' grep -q 'job 1 done' "$scratch/out"
check 'and are gone' [ -z "$(ls -A "$WOODSHED_LIBRARY/work")" ]

# Those of another model are not touched; under their name they give the samples of a render.
run "$woodshed" queue -m "$copy" --steps 3 --seed 7 p
run "$woodshed" worker
fresh
render -m "$copy" --steps 3 --seed 7 -o "$scratch/7.wav" p
name=$("$woodshed" recipe "$scratch/7.wav" | tr -d '\n' | sha256sum | cut -c -16)
mv "$scratch/latents" "$work/2-$name.codes"
run "$woodshed" retry 2
run "$woodshed" worker
check 'with another decoder' grep -q 'job 2 done' "$scratch/out"
check 'to the samples of a render' same_samples "$scratch/7.wav" "$(sed 's/.*, //' "$scratch/out")"
check 'by its own latents' [ "$(ls -A "$WOODSHED_LIBRARY/work")" = "$(basename "$latents" | sed 's/^1/2/')" ]

# One file, and no text encoder in it.
fresh tools
rm -r "$copy/text_encoder"
refused 1 'one file without a text encoder' 'holds no text encoder'
fresh tools
edit model_config.json 'config["model"]["diffusion"]["diffusion_objective"] = "x0"'
refused 1 'another objective' 'diffusion_objective'
fresh tools
edit model_config.json 'config["model"]["conditioning"]["configs"].pop(0)'
refused 1 'no prompt among the conditions' 'no prompt'
fresh tools
edit model_config.json 'config["model"]["pretransform"]["config"]["decoder"]["config"]["final_tanh"] = True'
refused 1 'a tanh at the end' 'final_tanh'
fresh tools
edit model_config.json 'config["sample_size"] = 1'
refused 1 'no window' 'no frame'
fresh tools
edit model_config.json 'config["model"]["diffusion"]["config"]["num_heads"] = 1000'
refused 1 'more heads than channels' 'heads do not divide'
mkdir -p "$WOODSHED_LIBRARY/models"
cp -r "$copy" "$WOODSHED_LIBRARY/models/heads"
run "$woodshed" doctor
check 'which doctor survives' test "$status" -le 1
check 'and names' grep -q 'heads do not divide' "$scratch/out"

done_testing
