#!/usr/bin/env python3
"""Writes a checkpoint of the sizes of stable-audio-open-small with random weights, as
stable-audio-tools keeps it (one file and its model_config.json, T5 beside it).

    make_stable_audio_small.py DIR [f32|bf16]

Values as in make_stable_audio.py.  341 M parameters besides the autoencoder and T5."""
import json
import os
import shutil
import sys

import make_stable_audio as sao

WIDTH, HEAD, LAYERS, TEXT = 1024, 128, 16, 768
CODEC = dict(c_mults=[1, 2, 4, 8, 16], strides=[2, 4, 4, 8, 8], use_snake=True, channels=128)
CONFIG = dict(
    model_type="diffusion_cond", sample_rate=44100, audio_channels=2, sample_size=524288,
    model=dict(
        io_channels=64,
        pretransform=dict(type="autoencoder", config=dict(
            encoder=dict(type="oobleck", config=dict(CODEC, in_channels=2, latent_dim=128)),
            decoder=dict(type="oobleck", config=dict(CODEC, out_channels=2, latent_dim=64, final_tanh=False)),
            bottleneck=dict(type="vae"))),
        conditioning=dict(cond_dim=TEXT, configs=[
            dict(id="prompt", type="t5", config=dict(t5_model_name="t5-base", max_length=64)),
            dict(id="seconds_total", type="number", config=dict(min_val=0, max_val=256))]),
        diffusion=dict(type="dit", diffusion_objective="rf_denoiser", config=dict(
            io_channels=64, embed_dim=WIDTH, depth=LAYERS, num_heads=WIDTH // HEAD, cond_token_dim=TEXT,
            global_cond_dim=TEXT, transformer_type="continuous_transformer", attn_kwargs=dict(qk_norm="ln")))))


def transformer():
    p, n = "model.model.", WIDTH
    yield p + "timestep_features.weight", [128, 1]
    for name, k in (("0", 256), ("2", n)):
        yield f"{p}to_timestep_embed.{name}.weight", [n, k]
        yield f"{p}to_timestep_embed.{name}.bias", [n]
    for part in ("to_global_embed", "to_cond_embed"):
        yield f"{p}{part}.0.weight", [n, TEXT]
        yield f"{p}{part}.2.weight", [n, n]
    yield p + "preprocess_conv.weight", [64, 64, 1]
    yield p + "postprocess_conv.weight", [64, 64, 1]
    p += "transformer."
    yield p + "project_in.weight", [n, 64]
    yield p + "project_out.weight", [64, n]
    yield p + "rotary_pos_emb.inv_freq", [HEAD // 4]
    for i in range(LAYERS):
        layer = f"{p}layers.{i}."
        for norm in ("pre_norm", "cross_attend_norm", "ff_norm"):
            yield f"{layer}{norm}.gamma", [n]
            yield f"{layer}{norm}.beta", [n]
        for attention, matrices in (("self_attn", [("to_qkv", 3)]), ("cross_attn", [("to_q", 1), ("to_kv", 2)])):
            for name, times in matrices + [("to_out", 1)]:
                yield f"{layer}{attention}.{name}.weight", [times * n, n]
            for norm in ("q_norm", "k_norm"):
                yield f"{layer}{attention}.{norm}.weight", [HEAD]
                yield f"{layer}{attention}.{norm}.bias", [HEAD]
        yield layer + "ff.ff.0.proj.weight", [8 * n, n]
        yield layer + "ff.ff.0.proj.bias", [8 * n]
        yield layer + "ff.ff.2.weight", [n, 4 * n]
        yield layer + "ff.ff.2.bias", [n]


def tools_name(name):
    """Of a tensor of the autoencoder in diffusers' names."""
    half, part, *rest = name.split(".")
    if part in ("conv1", "snake1", "conv2"):
        layer = {"conv1": 0, "snake1": 6, "conv2": 7}[part]
        return ".".join([half, "layers", str(layer)] + rest)
    out = [half, "layers", str(int(rest[0]) + 1), "layers"]
    down = half == "encoder"
    if rest[1].startswith("res_unit"):
        inner = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}[rest[2]]
        return ".".join(out + [str(int(rest[1][-1]) + (-1 if down else 1)), "layers", str(inner)] + rest[3:])
    return ".".join(out + [str({"snake1": 3 if down else 0, "conv1": 4, "conv_t1": 1}[rest[1]])] + rest[2:])


def tensors():
    yield from transformer()
    for name, shape in sao.vae():
        yield "pretransform.model." + tools_name(name), shape if len(shape) < 3 or "alpha" not in name and "beta" not in name else [shape[1]]
    p = "conditioner.conditioners.seconds_total.embedder.embedding."
    yield from ((p + "0.weights", [128]), (p + "1.weight", [TEXT, 257]), (p + "1.bias", [TEXT]))


def main():
    folder, bf16 = sys.argv[1], sys.argv[2:3] == ["bf16"]
    for part in ("text_encoder", "tokenizer"):
        os.makedirs(f"{folder}/{part}", exist_ok=True)
    sao.write(f"{folder}/text_encoder/model.safetensors", list(sao.text_encoder()), bf16)
    sao.write(f"{folder}/model.safetensors", list(tensors()), bf16)
    shutil.copy(f"{sao.ROOT}/tests/fixtures/t5/spiece.model", f"{folder}/tokenizer")
    for name, config in (("model_config", CONFIG), ("text_encoder/config", sao.T5),
                         ("tokenizer/tokenizer_config", dict(tokenizer_class="T5Tokenizer", model_max_length=512))):
        with open(f"{folder}/{name}.json", "w") as f:
            json.dump(config, f)


if __name__ == "__main__":
    main()
