#!/usr/bin/env python3
"""Writes a Stable Audio checkpoint of the released sizes with random weights, in the
folders of diffusers: what the benchmark loads, and its peer, too.

    make_stable_audio.py DIR [f32|bf16] [LAYERS]

Sizes: docs/models/stable-audio.md; LAYERS instead of the transformer's 24.  Values are
uniform with deviation 0.02 (norms, frequencies and magnitudes of weight norm 1), drawn
once for 4 MB and repeated: speed does not depend on them.  Needs nothing but Python.
"""
import array
import json
import os
import random
import shutil
import struct
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BLOCK = 1 << 20

T5 = dict(architectures=["T5EncoderModel"], model_type="t5", d_model=768, d_ff=3072, d_kv=64,
    num_heads=12, num_layers=12, feed_forward_proj="relu", dense_act_fn="relu",
    is_gated_act=False, layer_norm_epsilon=1e-6, relative_attention_num_buckets=32,
    relative_attention_max_distance=128, vocab_size=32128, pad_token_id=0, eos_token_id=1)
DIT = dict(_class_name="StableAudioDiTModel", attention_head_dim=64, cross_attention_dim=768,
    cross_attention_input_dim=768, global_states_input_dim=1536, in_channels=64,
    num_attention_heads=24, num_key_value_attention_heads=12, num_layers=24, out_channels=64,
    sample_size=1024.0, time_proj_dim=256)
VAE = dict(_class_name="AutoencoderOobleck", audio_channels=2, channel_multiples=[1, 2, 4, 8, 16],
    decoder_channels=128, decoder_input_channels=64, downsampling_ratios=[2, 4, 4, 8, 8],
    encoder_hidden_size=128, sampling_rate=44100)
NUMBERS = dict(_class_name="StableAudioProjectionModel", conditioning_dim=768, max_value=512,
    min_value=0, text_encoder_dim=768)
SCHEDULER = dict(_class_name="CosineDPMSolverMultistepScheduler", sigma_min=0.3, sigma_max=500,
    sigma_data=1.0, sigma_schedule="exponential", solver_order=2, solver_type="midpoint",
    prediction_type="v_prediction", rho=7.0, num_train_timesteps=1000, lower_order_final=True,
    euler_at_final=False, final_sigmas_type="zero")
INDEX = dict(_class_name="StableAudioPipeline", _diffusers_version="0.30.0.dev0",
    projection_model=["stable_audio", "StableAudioProjectionModel"],
    scheduler=["diffusers", "CosineDPMSolverMultistepScheduler"],
    text_encoder=["transformers", "T5EncoderModel"], tokenizer=["transformers", "T5TokenizerFast"],
    transformer=["diffusers", "StableAudioDiTModel"], vae=["diffusers", "AutoencoderOobleck"])


def text_encoder():
    yield "shared.weight", [32128, 768]
    for i in range(12):
        p = f"encoder.block.{i}.layer"
        for k in "qkvo":
            yield f"{p}.0.SelfAttention.{k}.weight", [768, 768]
        if not i:
            yield f"{p}.0.SelfAttention.relative_attention_bias.weight", [32, 12]
        yield f"{p}.0.layer_norm.weight", [768]
        yield f"{p}.1.DenseReluDense.wi.weight", [3072, 768]
        yield f"{p}.1.DenseReluDense.wo.weight", [768, 3072]
        yield f"{p}.1.layer_norm.weight", [768]
    yield "encoder.final_layer_norm.weight", [768]


def numbers():
    for which in ("start", "end"):
        p = f"{which}_number_conditioner.time_positional_embedding"
        yield f"{p}.0.weights", [128]
        yield f"{p}.1.weight", [768, 257]
        yield f"{p}.1.bias", [768]


def transformer():
    n = 1536
    yield "time_proj.weight", [128]
    for name, shape in (("timestep_proj.0", [n, 256]), ("timestep_proj.2", [n, n])):
        yield f"{name}.weight", shape
        yield f"{name}.bias", [n]
    for i in (0, 2):
        yield f"global_proj.{i}.weight", [n, n]
        yield f"cross_attention_proj.{i}.weight", [768, 768]
    yield "preprocess_conv.weight", [64, 64, 1]
    yield "postprocess_conv.weight", [64, 64, 1]
    yield "proj_in.weight", [n, 64]
    yield "proj_out.weight", [64, n]
    for i in range(DIT["num_layers"]):
        p = f"transformer_blocks.{i}"
        for k in (1, 2, 3):
            yield f"{p}.norm{k}.weight", [n]
            yield f"{p}.norm{k}.bias", [n]
        for k in ("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0", "attn2.to_q",
                  "attn2.to_out.0"):
            yield f"{p}.{k}.weight", [n, n]
        for k in "kv":
            yield f"{p}.attn2.to_{k}.weight", [768, 768]
        yield f"{p}.ff.net.0.proj.weight", [8 * n, n]
        yield f"{p}.ff.net.0.proj.bias", [8 * n]
        yield f"{p}.ff.net.2.weight", [n, 4 * n]
        yield f"{p}.ff.net.2.bias", [n]


def conv(name, out, inner, kernel, transposed=False, bias=True):
    first, second = (inner, out) if transposed else (out, inner)
    yield f"{name}.weight_g", [first, 1, 1]
    yield f"{name}.weight_v", [first, second, kernel]
    if bias:
        yield f"{name}.bias", [out]


def snake(name, channels):
    yield f"{name}.alpha", [1, channels, 1]
    yield f"{name}.beta", [1, channels, 1]


def residuals(name, channels):
    for i in (1, 2, 3):
        p = f"{name}.res_unit{i}"
        yield from snake(f"{p}.snake1", channels)
        yield from conv(f"{p}.conv1", channels, channels, 7)
        yield from snake(f"{p}.snake2", channels)
        yield from conv(f"{p}.conv2", channels, channels, 1)


def vae():
    widths, ratios = [128, 128, 256, 512, 1024, 2048], [2, 4, 4, 8, 8]
    yield from conv("encoder.conv1", 128, 2, 7)
    for i, (a, b, s) in enumerate(zip(widths, widths[1:], ratios)):
        yield from residuals(f"encoder.block.{i}", a)
        yield from snake(f"encoder.block.{i}.snake1", a)
        yield from conv(f"encoder.block.{i}.conv1", b, a, 2 * s)
    yield from snake("encoder.snake1", 2048)
    yield from conv("encoder.conv2", 128, 2048, 3)
    yield from conv("decoder.conv1", 2048, 64, 7)
    down = list(zip(widths, widths[1:], ratios))[::-1]
    for i, (b, a, s) in enumerate(down):
        yield from snake(f"decoder.block.{i}.snake1", a)
        yield from conv(f"decoder.block.{i}.conv_t1", b, a, 2 * s, transposed=True)
        yield from residuals(f"decoder.block.{i}", b)
    yield from snake("decoder.snake1", 128)
    yield from conv("decoder.conv2", 2, 128, 7, bias=False)


def is_one(name):
    return name.endswith(("weight_g", "weights", "time_proj.weight", "gamma", "running_var")) or (
        ("norm" in name.lower() or "ln_" in name) and name.endswith("weight"))


def write(path, tensors, bf16):
    size = 2 if bf16 else 4
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in tensors:
        n = size
        for d in shape:
            n *= d
        header[name] = dict(dtype="BF16" if bf16 else "F32", shape=shape, data_offsets=[at, at + n])
        at += n
    draw = random.Random(1)
    values = array.array("f", (draw.uniform(-0.035, 0.035) for _ in range(BLOCK)))
    block = values.tobytes()
    one = struct.pack("<f", 1)
    if bf16:
        block = b"".join(block[i + 2:i + 4] for i in range(0, len(block), 4))
        one = one[2:]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, _ in tensors:
            left = header[name]["data_offsets"][1] - header[name]["data_offsets"][0]
            while left:
                m = min(left, len(block))
                f.write(one * (m // size) if is_one(name) else block[:m])
                left -= m


def main():
    folder, bf16 = sys.argv[1], sys.argv[2:3] == ["bf16"]
    DIT["num_layers"] = int(sys.argv[3]) if len(sys.argv) > 3 else 24
    for part, config, tensors, file in (
        ("text_encoder", T5, text_encoder, "model"),
        ("projection_model", NUMBERS, numbers, "diffusion_pytorch_model"),
        ("transformer", DIT, transformer, "diffusion_pytorch_model"),
        ("vae", VAE, vae, "diffusion_pytorch_model")):
        os.makedirs(f"{folder}/{part}", exist_ok=True)
        with open(f"{folder}/{part}/config.json", "w") as f:
            json.dump(config, f)
        write(f"{folder}/{part}/{file}.safetensors", list(tensors()), bf16)
    for part in ("scheduler", "tokenizer"):
        os.makedirs(f"{folder}/{part}", exist_ok=True)
    shutil.copy(f"{ROOT}/tests/fixtures/t5/spiece.model", f"{folder}/tokenizer")
    for name, config in (("scheduler/scheduler_config", SCHEDULER), ("model_index", INDEX),
                         ("tokenizer/tokenizer_config", dict(tokenizer_class="T5Tokenizer",
                             model_max_length=128))):
        with open(f"{folder}/{name}.json", "w") as f:
            json.dump(config, f)


if __name__ == "__main__":
    main()
