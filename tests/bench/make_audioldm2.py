#!/usr/bin/env python3
"""Writes an AudioLDM 2 checkpoint of the sizes of audioldm2-music with random weights, in
the folders of diffusers: what the benchmark on a GPU loads.

    make_audioldm2.py DIR [f32|bf16]

Values as in make_stable_audio.py.  1.15 billion parameters.  Needs nothing but Python.
"""
import json
import os
import shutil
import sys

import make_stable_audio as sao

WIDTHS, TIME, CROSS = (128, 256, 384, 640), 512, (None, 768, 1024)
T5 = dict(sao.T5, d_model=1024, d_ff=2816, num_layers=24, num_heads=16, feed_forward_proj="gated-gelu",
          dense_act_fn="gelu_new", is_gated_act=True)
GPT2 = dict(architectures=["GPT2Model"], model_type="gpt2", activation_function="gelu_new", n_embd=768, n_head=12,
            n_inner=None, n_layer=12, n_positions=1024, vocab_size=50257, layer_norm_epsilon=1e-5, max_new_tokens=8)
CLAP = dict(
    architectures=["ClapModel"], model_type="clap", projection_dim=512, hidden_size=768, projection_hidden_act="relu",
    text_config=dict(
        model_type="clap_text_model", hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
        num_attention_heads=12, max_position_embeddings=514, vocab_size=50265, projection_dim=512, pad_token_id=1,
        layer_norm_eps=1e-12, hidden_act="gelu", type_vocab_size=1),
    audio_config=dict(
        model_type="clap_audio_model", patch_embeds_hidden_size=128, hidden_size=1024, depths=[2, 2, 12, 2],
        num_attention_heads=[4, 8, 16, 32], projection_dim=512, enable_fusion=False, patch_embed_input_channels=1))
PROJECTION = dict(_class_name="AudioLDM2ProjectionModel", text_encoder_dim=512, text_encoder_1_dim=1024,
                  langauge_model_dim=768)
UNET = dict(
    _class_name="AudioLDM2UNet2DConditionModel", act_fn="silu", attention_head_dim=8, block_out_channels=WIDTHS,
    cross_attention_dim=[CROSS] * 4, down_block_types=["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 3,
    up_block_types=["CrossAttnUpBlock2D"] * 3 + ["UpBlock2D"], mid_block_type="UNetMidBlock2DCrossAttn",
    downsample_padding=1, flip_sin_to_cos=True, freq_shift=0, in_channels=8, out_channels=8, layers_per_block=2,
    mid_block_scale_factor=1, norm_eps=1e-5, norm_num_groups=32, sample_size=256, transformer_layers_per_block=1,
    conv_in_kernel=3, conv_out_kernel=3, time_embedding_type="positional", resnet_time_scale_shift="default",
    use_linear_projection=False, only_cross_attention=False, upcast_attention=False, num_attention_heads=None)
VAE_WIDTHS = (128, 256, 512)
VAE = dict(
    _class_name="AutoencoderKL", act_fn="silu", block_out_channels=VAE_WIDTHS, in_channels=1, out_channels=1,
    latent_channels=8, layers_per_block=2, norm_num_groups=32, sample_size=32, scaling_factor=0.41109,
    down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3)
RATES, KERNELS = (5, 4, 2, 2, 2), (16, 16, 8, 4, 4)
VOCODER = dict(
    architectures=["SpeechT5HifiGan"], model_type="hifigan", model_in_dim=64, sampling_rate=16000,
    upsample_initial_channel=1024, upsample_rates=RATES, upsample_kernel_sizes=KERNELS,
    resblock_kernel_sizes=[3, 7, 11], resblock_dilation_sizes=[[1, 3, 5]] * 3, leaky_relu_slope=0.1,
    normalize_before=False)
SCHEDULER = dict(
    _class_name="DDIMScheduler", beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False,
    num_train_timesteps=1000, prediction_type="epsilon", set_alpha_to_one=False, steps_offset=1, thresholding=False,
    timestep_spacing="leading", trained_betas=None, rescale_betas_zero_snr=False)
FEATURES = dict(
    feature_extractor_type="ClapFeatureExtractor", feature_size=64, fft_window_size=1024, frequency_min=50,
    frequency_max=14000, hop_length=480, max_length_s=10, nb_max_samples=480000, padding="repeatpad",
    padding_value=0.0, sampling_rate=48000, top_db=None, truncation="rand_trunc")


def layer(name, *shape, bias=True):
    yield f"{name}.weight", list(shape)
    if bias:
        yield f"{name}.bias", shape[:1]


def norm(name, n):
    return layer(name, n)


def resnet(name, before, after, time):
    yield from norm(f"{name}.norm1", before)
    yield from layer(f"{name}.conv1", after, before, 3, 3)
    if time:
        yield from layer(f"{name}.time_emb_proj", after, time)
    yield from norm(f"{name}.norm2", after)
    yield from layer(f"{name}.conv2", after, after, 3, 3)
    if before != after:
        yield from layer(f"{name}.conv_shortcut", after, before, 1, 1)


def attention(name, n, cross):
    yield from norm(f"{name}.norm", n)
    yield from layer(f"{name}.proj_in", n, n, 1, 1)
    block = f"{name}.transformer_blocks.0"
    for i, seen in ((1, n), (2, cross or n)):
        yield from norm(f"{block}.norm{i}", n)
        for k, inner in (("q", n), ("k", seen), ("v", seen)):
            yield from layer(f"{block}.attn{i}.to_{k}", n, inner, bias=False)
        yield from layer(f"{block}.attn{i}.to_out.0", n, n)
    yield from norm(f"{block}.norm3", n)
    yield from layer(f"{block}.ff.net.0.proj", 8 * n, n)
    yield from layer(f"{block}.ff.net.2", n, 4 * n)
    yield from layer(f"{name}.proj_out", n, n, 1, 1)


def attentions(name, n, layers):
    for i in range(layers * len(CROSS)):
        yield from attention(f"{name}.attentions.{i}", n, CROSS[i % len(CROSS)])


def unet():
    yield from layer("conv_in", WIDTHS[0], 8, 3, 3)
    yield from layer("time_embedding.linear_1", TIME, WIDTHS[0])
    yield from layer("time_embedding.linear_2", TIME, TIME)
    n, skips = WIDTHS[0], [WIDTHS[0]]
    for i, width in enumerate(WIDTHS):
        for j in range(2):
            yield from resnet(f"down_blocks.{i}.resnets.{j}", n, width, TIME)
            n = width
            skips.append(n)
        if i:
            yield from attentions(f"down_blocks.{i}", n, 2)
        if i < 3:
            yield from layer(f"down_blocks.{i}.downsamplers.0.conv", n, n, 3, 3)
            skips.append(n)
    for j in range(2):
        yield from resnet(f"mid_block.resnets.{j}", n, n, TIME)
    yield from attentions("mid_block", n, 1)
    for i, width in enumerate(WIDTHS[::-1]):
        for j in range(3):
            yield from resnet(f"up_blocks.{i}.resnets.{j}", n + skips.pop(), width, TIME)
            n = width
        if i < 3:
            yield from attentions(f"up_blocks.{i}", n, 3)
            yield from layer(f"up_blocks.{i}.upsamplers.0.conv", n, n, 3, 3)
    yield from norm("conv_norm_out", n)
    yield from layer("conv_out", 8, n, 3, 3)


def half_of_vae(side, first, widths, count, last):
    """Encoder or decoder: `count` resnets a level, all but the last followed by a change of size."""
    change = "down" if side == "encoder" else "up"
    yield from layer(f"{side}.conv_in", widths[0], first, 3, 3)
    n = widths[0]
    for i, width in enumerate(widths):
        block = f"{side}.{change}_blocks.{i}"
        for j in range(count):
            yield from resnet(f"{block}.resnets.{j}", n, width, None)
            n = width
        if i < len(widths) - 1:
            yield from layer(f"{block}.{change}samplers.0.conv", n, n, 3, 3)
    middle = max(widths)
    yield from norm(f"{side}.mid_block.attentions.0.group_norm", middle)
    for k in ("to_q", "to_k", "to_v", "to_out.0"):
        yield from layer(f"{side}.mid_block.attentions.0.{k}", middle, middle)
    for j in range(2):
        yield from resnet(f"{side}.mid_block.resnets.{j}", middle, middle, None)
    yield from norm(f"{side}.conv_norm_out", n)
    yield from layer(f"{side}.conv_out", last, n, 3, 3)


def vae():
    yield from half_of_vae("encoder", 1, VAE_WIDTHS, 2, 16)
    yield from half_of_vae("decoder", 8, VAE_WIDTHS[::-1], 3, 1)
    yield from layer("quant_conv", 16, 16, 1, 1)
    yield from layer("post_quant_conv", 8, 8, 1, 1)


def vocoder():
    yield "mean", [64]
    yield "scale", [64]
    n = 1024
    yield from layer("conv_pre", n, 64, 7)
    for i, kernel in enumerate(KERNELS):
        yield f"upsampler.{i}.weight", [n, n // 2, kernel]
        n //= 2
        yield f"upsampler.{i}.bias", [n]
        for j, k in enumerate((3, 7, 11)):
            for part in ("convs1", "convs2"):
                for d in range(3):
                    yield from layer(f"resblocks.{3 * i + j}.{part}.{d}", n, n, k)
    yield from layer("conv_post", 1, n, 7)


def projection():
    for name, inner in (("", 512), ("_1", 1024)):
        yield f"sos_embed{name}", [768]
        yield f"eos_embed{name}", [768]
        yield from layer(f"projection{name}", 768, inner)


def gpt2():
    yield "wte.weight", [50257, 768]
    yield "wpe.weight", [1024, 768]
    for i in range(12):
        for name, inner, outer in (("attn.c_attn", 768, 2304), ("attn.c_proj", 768, 768), ("mlp.c_fc", 768, 3072),
                                   ("mlp.c_proj", 3072, 768)):
            yield f"h.{i}.{name}.weight", [inner, outer]
            yield f"h.{i}.{name}.bias", [outer]
        yield from norm(f"h.{i}.ln_1", 768)
        yield from norm(f"h.{i}.ln_2", 768)
    yield from norm("ln_f", 768)


def t5():
    yield "shared.weight", [32128, 1024]
    for i in range(24):
        p = f"encoder.block.{i}.layer"
        for k in "qkvo":
            yield f"{p}.0.SelfAttention.{k}.weight", [1024, 1024]
        if not i:
            yield f"{p}.0.SelfAttention.relative_attention_bias.weight", [32, 16]
        for k, outer, inner in (("wi_0", 2816, 1024), ("wi_1", 2816, 1024), ("wo", 1024, 2816)):
            yield f"{p}.1.DenseReluDense.{k}.weight", [outer, inner]
        for j in (0, 1):
            yield f"{p}.{j}.layer_norm.weight", [1024]
    yield "encoder.final_layer_norm.weight", [1024]


def bert_layer(name, n):
    """What the text and the audio half of CLAP have in common."""
    for part in ("self.query", "self.key", "self.value", "output.dense"):
        yield from layer(f"{name}.attention.{part}", n, n)
    yield from layer(f"{name}.intermediate.dense", 4 * n, n)
    yield from layer(f"{name}.output.dense", n, 4 * n)


def clap():
    yield "logit_scale_a", []
    yield "logit_scale_t", []
    p = "text_model.embeddings"
    for name, n in (("word", 50265), ("position", 514), ("token_type", 1)):
        yield f"{p}.{name}_embeddings.weight", [n, 768]
    yield from norm(f"{p}.LayerNorm", 768)
    for i in range(12):
        p = f"text_model.encoder.layer.{i}"
        yield from bert_layer(p, 768)
        yield from norm(f"{p}.attention.output.LayerNorm", 768)
        yield from norm(f"{p}.output.LayerNorm", 768)
    yield from layer("text_model.pooler.dense", 768, 768)
    for half, n in (("text", 768), ("audio", 1024)):
        yield from layer(f"{half}_projection.linear1", 512, n)
        yield from layer(f"{half}_projection.linear2", 512, 512)
    p = "audio_model.audio_encoder"
    yield from layer(f"{p}.patch_embed.proj", 128, 1, 4, 4)
    yield from norm(f"{p}.patch_embed.norm", 128)
    for i, depth in enumerate((2, 2, 12, 2)):
        n = 128 << i
        for j in range(depth):
            block = f"{p}.layers.{i}.blocks.{j}"
            yield from bert_layer(block, n)
            yield f"{block}.attention.self.relative_position_bias_table", [225, 4 << i]
            yield from norm(f"{block}.layernorm_before", n)
            yield from norm(f"{block}.layernorm_after", n)
        if i < 3:
            yield f"{p}.layers.{i}.downsample.reduction.weight", [2 * n, 4 * n]
            yield from norm(f"{p}.layers.{i}.downsample.norm", 4 * n)
    yield from norm(f"{p}.norm", 1024)
    yield from norm(f"{p}.batch_norm", 64)
    yield f"{p}.batch_norm.running_mean", [64]
    yield f"{p}.batch_norm.running_var", [64]


PARTS = dict(
    text_encoder=(CLAP, clap, "model"), text_encoder_2=(T5, t5, "model"), language_model=(GPT2, gpt2, "model"),
    projection_model=(PROJECTION, projection, "diffusion_pytorch_model"),
    unet=(UNET, unet, "diffusion_pytorch_model"), vae=(VAE, vae, "diffusion_pytorch_model"),
    vocoder=(VOCODER, vocoder, "model"))


def main():
    folder, bf16 = sys.argv[1], sys.argv[2:3] == ["bf16"]

    def put(path, content):
        os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
        with open(f"{folder}/{path}", "w") as f:
            json.dump(content, f)

    for part, (config, tensors, file) in PARTS.items():
        put(f"{part}/config.json", config)
        sao.write(f"{folder}/{part}/{file}.safetensors", list(tensors()), bf16)
    put("scheduler/scheduler_config.json", SCHEDULER)
    put("feature_extractor/preprocessor_config.json", FEATURES)
    put("tokenizer/tokenizer_config.json", dict(model_max_length=512))
    put("tokenizer_2/tokenizer_config.json", dict(model_max_length=128))
    shutil.copy(f"{sao.ROOT}/tests/fixtures/roberta/tokenizer.json", f"{folder}/tokenizer")
    shutil.copy(f"{sao.ROOT}/tests/fixtures/t5/spiece.model", f"{folder}/tokenizer_2")
    put("model_index.json", dict(_class_name="AudioLDM2Pipeline"))


if __name__ == "__main__":
    main()
