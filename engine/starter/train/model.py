"""The starter model's configuration, as transformers' own classes, and folders
in Hugging Face layout."""

import json
import math
import pathlib

from transformers import (EncodecConfig, EncodecModel, MusicgenConfig, MusicgenDecoderConfig,
                          MusicgenForConditionalGeneration, T5Config)

RATE, RATIOS = 32000, (8, 5, 4, 4)
HOP = math.prod(RATIOS)
FRAME_RATE, CODEBOOKS, ENTRIES = 50, 4, 1024
SECONDS = 10


def codec_config(**more):
    """50 frames a second, like the released codec but narrower."""
    return EncodecConfig(**{**dict(
        sampling_rate=RATE, audio_channels=1, upsampling_ratios=list(RATIOS), num_filters=16, hidden_size=64,
        codebook_dim=64, codebook_size=ENTRIES, num_lstm_layers=1, kernel_size=7, last_kernel_size=7,
        residual_kernel_size=3, dilation_growth_rate=2, num_residual_layers=1, compress=2, norm_type="weight_norm",
        use_causal_conv=False, use_conv_shortcut=False, pad_mode="reflect", normalize=False,
        target_bandwidths=[CODEBOOKS * FRAME_RATE * 10 / 1000], trim_right_ratio=1.0), **more})


def make_codec(**more):
    return EncodecModel(codec_config(**more))


def make_model(vocab, codec, hidden=256, layers=8, heads=4, ffn=1024, text=192, text_layers=3):
    """The whole model around a trained codec."""
    t5 = T5Config(vocab_size=(vocab + 7) // 8 * 8, d_model=text, d_kv=text // 4, d_ff=3 * text, num_layers=text_layers,
                  num_heads=4, feed_forward_proj="relu", dropout_rate=0.1, decoder_start_token_id=0)
    lm = MusicgenDecoderConfig(
        vocab_size=ENTRIES, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, ffn_dim=ffn,
        max_position_embeddings=SECONDS * FRAME_RATE + CODEBOOKS, num_codebooks=CODEBOOKS, audio_channels=1,
        pad_token_id=ENTRIES, bos_token_id=ENTRIES, dropout=0.1, attention_dropout=0.0, activation_dropout=0.0)
    model = MusicgenForConditionalGeneration(MusicgenConfig.from_sub_models_config(t5, codec.config, lm))
    model.audio_encoder.load_state_dict(codec.state_dict())
    g = model.generation_config
    g.pad_token_id = g.bos_token_id = g.decoder_start_token_id = ENTRIES
    g.do_sample, g.guidance_scale, g.max_length = True, 3.0, SECONDS * FRAME_RATE + CODEBOOKS
    return model


def clean(folder):
    """Nothing of the machine that trained it."""
    for path in pathlib.Path(folder).glob("*.json"):
        if path.name.endswith("config.json"):
            text = json.loads(path.read_text())
            text.pop("_name_or_path", None)
            path.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")
