#!/usr/bin/env python3
"""Makes the tiny MusicGen checkpoints and what transformers renders from them.

    make_fixtures.py              makes everything anew (about two minutes)
    make_fixtures.py CASE...      only these
    make_fixtures.py --verify     loads the committed checkpoints and compares
                                  every expected tensor, writes nothing
    make_fixtures.py --search     looks for other seeds (see below)

Versions are pinned in requirements.txt.  Each case is one folder in Hugging
Face layout, tests/fixtures/musicgen/CASE, with random weights, and a pair
expected/CASE.{json,safetensors} beside this file: the runs, and the tensors
that transformers computes on the way.  One case, starter, is the trained model
in engine/starter: run `make_fixtures.py starter` when that was trained anew.

Weights are scaled so that logits have a standard deviation of about 15 and
the waveform a peak near 1.  Greedy output of a random model can be compared
only when every argmax has a margin far above float noise: a seed counts when
the smallest gap between the best and the second best logit of all greedy runs
exceeds 1e-3 (float32 noise of the guided logits is below 1e-4), and when no
codebook entry is chosen over another by less than 1e-3 of the distance.  The
manifest holds the margins, and for each tensor its "noise": the largest
difference between float32 and the same arithmetic in float64, from which the
tests derive their tolerances.

Position tables are computed in float32, as they were in training; the rounded
tables of fp16 and bf16 files are not used.
"""

import argparse
import collections
import copy
import io
import json
import math
import pathlib
import shutil
import sys
import tempfile

import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2
from safetensors.torch import load_file, save_file
from transformers import (
    EncodecConfig,
    MusicgenConfig,
    MusicgenDecoderConfig,
    MusicgenForConditionalGeneration,
    T5Config,
    T5Tokenizer,
    T5TokenizerFast,
)
from transformers.models.encodec.modeling_encodec import (
    EncodecConv1d,
    EncodecConvTranspose1d,
    EncodecResnetBlock,
)
from transformers.utils import logging

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent.parent / "fixtures" / "musicgen"
STARTER = HERE.parent.parent.parent / "engine" / "starter"
EXPECTED = HERE / "expected"

MARGIN = 1e-3
TRAINED_MARGIN = 2e-4  # its logits are small, and so is their noise

# ---- the cases ---------------------------------------------------------------

TEXT = dict(d_model=16, d_ff=40, num_layers=2, num_heads=2, d_kv=8, feed_forward_proj="relu")
CODEC = dict(
    sampling_rate=8000, upsampling_ratios=[8, 5, 4], num_filters=2, hidden_size=16, codebook_dim=16,
    codebook_size=64, target_bandwidths=[2.2], use_causal_conv=False, use_conv_shortcut=False,
)
RELEASED = dict(CODEC, sampling_rate=32000, upsampling_ratios=[8, 5, 4, 4])
LM = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=3, ffn_dim=64, vocab_size=64,
    max_position_embeddings=128, num_codebooks=4, audio_channels=1,
)

PROMPT = "80s pop track with bassy drums and synth"
OTHER = "slow piano, rain on a tin roof"
UNKNOWN = "jazz ☃☃ trio ∮ 120 bpm"
WORDY = " ".join(["a long ambient drone with strings, bells and a warm bass"] * 8)


def run(name, seconds, prompt=PROMPT, guidance=3.0, **more):
    """stride: only every stride-th sample of the waveform is kept (files stay
    small); taps: intermediate tensors are kept; clip: continues that clip;
    window: made in windows of that many frames."""
    return dict(name=name, seconds=seconds, prompt=prompt, guidance=guidance, **more)


SHORT = [run("main", "0.6", taps=True), run("plain", "0.3", OTHER, guidance=1.0)]
FULL = [
    run("frame1", "0.02"),
    run("frame2", "0.03"),
    run("frame3", "0.06"),
    run("main", "1.1", taps=True),
    run("plain", "0.3", OTHER, guidance=1.0, taps=True),
    run("strong", "0.3", OTHER, guidance=4.5, taps=True),
    run("null", "0.2", "", guidance=3.0, taps=True),
    run("long", "6", stride=11),
    run("continued", "0.3", clip="clip", taps=True),
]

# What each case adds to the ones above it.
CASES = {
    # The released layout in miniature, with a full tokenizer.
    "mono": dict(
        seed=1, rule="nmt_nfkc", codec=RELEASED,
        lm=dict(LM, hidden_size=32, num_attention_heads=4, ffn_dim=128,
            max_position_embeddings=320),
        clip=3.4,
        runs=FULL + [
            run("blank", "0.1", "   ", taps=True),
            run("unknown", "0.06", UNKNOWN, taps=True),
            run("wordy", "0.06", WORDY, taps=True),
            run("clicked", "0.1", clip="click"),
            run("windows", "1.2", window=20, stride=5),
        ],
    ),
    # No projection, heads * d_kv != d_model, a causal codec with shortcuts and
    # more codebooks than the decoder models.
    "causal": dict(
        seed=2, text=dict(TEXT, d_model=24, num_heads=3, d_kv=16),
        codec=dict(CODEC, sampling_rate=16000, upsampling_ratios=[8, 5, 4, 2],
            use_causal_conv=True, use_conv_shortcut=True, target_bandwidths=[1.2, 2.9]),
        clip=2.7,
        runs=[run("frame1", "0.02")] + SHORT + [run("continued", "0.3", clip="clip", taps=True)],
    ),
    # Eight codebooks, two channels.
    "stereo": dict(
        seed=4, lm=dict(LM, num_codebooks=8, audio_channels=2, max_position_embeddings=320),
        clip=5.2,
        runs=FULL + [
            run("windows", "1", window=17),
            run("windows-continued", "0.8", window=17, clip="clip"),
            run("windows-short", "0.4", window=5, clip="clip"),
        ],
    ),
    # Sizes that divide nothing, a frame rate that is no whole number, shards.
    "odd": dict(
        seed=2, shards="140KB",
        text=dict(TEXT, d_model=20, d_ff=37, num_layers=3, num_heads=3, d_kv=5),
        codec=dict(CODEC, upsampling_ratios=[7, 5, 3], num_filters=3, hidden_size=21,
            codebook_dim=21, codebook_size=128, kernel_size=5, last_kernel_size=3,
            target_bandwidths=[3.1]),
        lm=dict(LM, hidden_size=48, num_attention_heads=3, ffn_dim=100, vocab_size=128,
            max_position_embeddings=320),
        clip=4.3, runs=[run("frame1", "0.01")] + SHORT + [
            run("long", "4", stride=3), run("continued", "0.3", clip="clip", taps=True)],
    ),
    # A PyTorch file with the old names of weight norm.
    "bin": dict(seed=1, file="bin", runs=SHORT),
    # PyTorch shards, a tokenizer that comes as tokenizer.json alone.
    "bin-shards": dict(
        seed=1, file="bin", shards="120KB", rule="own", tokenizer="json",
        codec=dict(CODEC, num_lstm_layers=1),
        lm=dict(LM, hidden_size=40, num_attention_heads=5),
        runs=SHORT + [run("upper", "0.1", "PUNK Rock… LOUD", taps=True)],
    ),
    "half": dict(seed=1, dtype=torch.float16, clip=2.5, runs=SHORT + [
        run("long", "2", stride=3), run("continued", "0.3", clip="clip", taps=True)]),
    "bfloat": dict(seed=1, dtype=torch.bfloat16, runs=SHORT),
    # GELU in T5, two codebooks, fewer tokens than codebook entries.
    "narrow": dict(
        seed=1, text=dict(TEXT, feed_forward_proj="gelu"),
        codec=dict(CODEC, target_bandwidths=[1.1]), lm=dict(LM, num_codebooks=2, vocab_size=60),
        runs=SHORT,
    ),
    # Dilated residual layers, zero padding, ReLU; the text embedding under its other name.
    "dilated": dict(
        seed=3, embed="text_encoder.encoder.embed_tokens.weight",
        codec=dict(CODEC, sampling_rate=4000, upsampling_ratios=[10, 8], num_filters=4,
            num_residual_layers=2, dilation_growth_rate=3, residual_kernel_size=5, compress=4,
            pad_mode="constant", kernel_size=5),
        lm=dict(LM, activation_function="relu"), clip=4.6,
        runs=[run("frame1", "0.02")] + SHORT + [run("continued", "0.3", clip="clip", taps=True)],
    ),
    # A causal codec that trims on both sides, edge padding, three residual layers.
    "trimmed": dict(
        seed=1,
        codec=dict(CODEC, num_residual_layers=3, use_causal_conv=True, trim_right_ratio=0.5,
            pad_mode="replicate", num_lstm_layers=3),
        clip=3.9, runs=SHORT + [run("continued", "0.3", clip="clip", taps=True)],
    ),
    # Trained, not drawn: nothing of it is made here.
    "starter": dict(
        seed=3, folder=STARTER, clip=20.5, runs=[
            run("main", "1", "slow lofi hip hop, electric piano, 74 bpm", taps=True),
            run("strong", "0.5", "fast techno, 138 bpm, no bass", guidance=6.0, taps=True),
            run("plain", "0.5", "solo flute", guidance=1.0, taps=True),
            run("null", "0.5", "", taps=True),
            run("long", "3", "marimba and drums, bright", stride=7),
            run("continued", "0.8", "folk guitar in D major", clip="clip", taps=True),
        ],
    ),
}

# ---- text --------------------------------------------------------------------

GENRES = """pop rock jazz blues folk punk metal techno house ambient disco funk soul country reggae
    classical baroque minimal trance swing tango waltz lullaby march film chamber""".split()
SOUNDS = """drums bass synth piano guitar strings bells flute violin choir pads brass organ cello
    trumpet whistle handclaps vinyl crackle harp marimba accordion banjo oboe cymbals""".split()
MOODS = """slow fast warm cold dark bright gentle loud dreamy bassy heavy light distant nervous
    hopeful melancholy playful solemn wide dry roomy broken shimmering""".split()
SYLLABLES = "ka lo mi ru ten sha vo ble nor qui stra pe".split()
PLACES = """a tin roof|the old harbour|an empty station|a winter forest|the night bus|my
    kitchen""".replace("\n    ", " ").split("|")


def corpus():
    for i in range(600):
        g, s, t, m, p = (w[(i * k) % len(w)] for w, k in
            ((GENRES, 1), (SOUNDS, 7), (SOUNDS, 11), (MOODS, 13), (PLACES, 5)))
        yield f"{m} {g} track with {s} and {t}, {60 + i % 120} bpm"
        yield f"a long {g} drone, rain on {p}, {i % 10}0s {m} {t}"
        name = "".join(SYLLABLES[i * k // 3 % len(SYLLABLES)] for k in (1, 5, 7)[: i % 4])
        yield f"{name} sings {name}"


def train_tokenizer(rule, folder):
    """A unigram model of a few hundred pieces with T5's special ids."""
    out = io.BytesIO()
    args = dict(sentence_iterator=corpus(), model_writer=out, model_type="unigram", vocab_size=300,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1,
        character_coverage=1.0, minloglevel=2)
    if rule == "own":  # a character map of our own: capitals, an ellipsis
        lines = [f"{ord(c):X}\t{ord(c.lower()):X}" for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
        rules = folder / "rules.tsv"
        rules.write_text("\n".join(lines + ["2026\t2C"]) + "\n")
        args["normalization_rule_tsv"] = str(rules)
    else:
        args["normalization_rule_name"] = rule
    sentencepiece.SentencePieceTrainer.train(**args)
    if rule == "own":
        rules.unlink()
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(out.getvalue())
    proto.normalizer_spec.normalization_rule_tsv = ""
    (folder / "spiece.model").write_bytes(proto.SerializeToString(deterministic=True))


def make_tokenizer(case, folder):
    train_tokenizer(case.get("rule", "identity"), folder)
    spiece = str(folder / "spiece.model")
    if case.get("tokenizer") != "json":
        return sentencepiece.SentencePieceProcessor(spiece).vocab_size()
    slow = T5Tokenizer(spiece, extra_ids=4, legacy=True)
    fast = T5TokenizerFast(tokenizer_object=None, vocab_file=spiece, extra_ids=4, legacy=True)
    for text in (PROMPT, OTHER, "PUNK Rock… LOUD"):
        assert slow(text).input_ids == fast(text).input_ids, text
    fast.backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "spiece.model").unlink()
    return len(fast)


def tokenize(folder, text):
    if (folder / "spiece.model").exists():
        ids = sentencepiece.SentencePieceProcessor(str(folder / "spiece.model")).encode(text)
        return ids + [1]
    return T5TokenizerFast(tokenizer_file=str(folder / "tokenizer.json")).encode(text)


# ---- weights -----------------------------------------------------------------


def random_weights(model, seed):
    """Every parameter from one generator, in the order of the names."""
    rand = torch.Generator().manual_seed(seed)
    c = model.config.decoder
    t = model.config.text_encoder

    def spread(name, p):
        fan_in = p.shape[-1] if p.dim() == 2 else p[0].numel()
        unit = 1 / math.sqrt(max(1, fan_in))
        if "shared" in name:
            return 1.0
        if "relative_attention_bias" in name:
            return 1.0
        if ".SelfAttention.q" in name or ".SelfAttention.k" in name:
            return 1.2 * unit / t.d_kv ** 0.25
        if "embed_tokens" in name:
            return 1.5 / math.sqrt(c.num_codebooks)
        if "lm_heads" in name:
            return 7 * unit
        if name.endswith("q_proj.weight") or name.endswith("k_proj.weight"):
            return 1.5 * unit
        if ".out_proj" in name or ".fc" in name:
            return 2 * unit
        if "lstm" in name:
            return 1.2 * unit if p.dim() == 2 else 0.3
        if p.dim() == 1:
            return 0.3
        return unit

    for name, p in sorted(model.named_parameters()):
        if "embed_positions" in name:
            continue
        x = torch.randn(p.shape, generator=rand)
        if "layer_norm.weight" in name:
            p.data = 1 + 0.2 * x
        elif name.endswith("original0"):  # magnitudes of weight norm, set below
            p.data = x.abs() + 0.5
        else:
            p.data = spread(name, p) * x
    scale_codec(model.audio_encoder, rand)


def scale_codec(codec, rand):
    """Runs noise through encoder and decoder and scales each convolution's
    output to a fixed deviation; takes codebooks from what the encoder emits."""

    def hook(target):
        def scale(module, args, out):
            by = target / out.std()
            module.conv.parametrizations.weight.original0.data *= by
            module.conv.bias.data *= by
            return out * by
        return scale

    def measure(net, x, last):
        convs = [m for m in net.modules() if isinstance(m, (EncodecConv1d, EncodecConvTranspose1d))]
        inner = [m.block[-1] for m in net.modules() if isinstance(m, EncodecResnetBlock)]
        hooks = [m.register_forward_hook(hook(last if m is convs[-1] else 0.5 if m in inner else 1))
            for m in convs]
        with torch.no_grad():
            y = net(x)
        for h in hooks:
            h.remove()
        return y

    hop = math.prod(codec.config.upsampling_ratios)
    sound = torch.randn((1, 1, 400 * hop), generator=rand) * 0.3
    sound *= torch.linspace(0.2, 2, sound.shape[-1])
    z = measure(codec.encoder, sound, 1.0)[0].T
    for layer in codec.quantizer.layers:
        book = layer.codebook
        pick = torch.randperm(len(z), generator=rand)[: book.codebook_size]
        book.embed.data = z[pick] + 0.2 * z.std() * torch.randn(z[pick].shape, generator=rand)
        z = z - book.embed[book.quantize(z)]
        book.embed_avg.data = book.embed.clone()
        book.cluster_size.data = torch.ones(book.codebook_size)
    n = codec.config.codebook_size
    codes = torch.randint(0, n, (len(codec.quantizer.layers), 1, 60), generator=rand)
    with torch.no_grad():
        measure(codec.decoder, codec.quantizer.decode(codes), 0.25)


def make_model(case, folder, seed):
    vocab = make_tokenizer(case, folder)
    lm = case.get("lm", LM)
    ids = {k: lm["vocab_size"] for k in ("pad_token_id", "bos_token_id")}
    config = MusicgenConfig.from_sub_models_config(
        T5Config(vocab_size=(vocab + 7) // 8 * 8, decoder_start_token_id=0,
            **case.get("text", TEXT)),
        EncodecConfig(**case.get("codec", CODEC)), MusicgenDecoderConfig(**lm, **ids))
    model = MusicgenForConditionalGeneration(config).eval()
    random_weights(model, seed)
    g = model.generation_config
    g.pad_token_id = g.bos_token_id = g.decoder_start_token_id = lm["vocab_size"]
    g.do_sample, g.guidance_scale, g.max_length = True, 3.0, 1500
    return model


def save(case, model, folder):
    dtype = case.get("dtype", torch.float32)
    model = copy.deepcopy(model).to(dtype)
    model.config.torch_dtype = dtype
    if case.get("file") != "bin":
        model.save_pretrained(folder, max_shard_size=case.get("shards", "5GB"))
    elif "shards" in case:
        model.save_pretrained(folder, safe_serialization=False, max_shard_size=case["shards"])
    else:
        model.config.save_pretrained(folder)
        model.generation_config.save_pretrained(folder)
        state = model.state_dict()
        old = collections.OrderedDict((name
            .replace("parametrizations.weight.original0", "weight_g")
            .replace("parametrizations.weight.original1", "weight_v"), t)
            for name, t in state.items())
        old._metadata = state._metadata
        torch.save(old, folder / "pytorch_model.bin")


def load(case, folder):
    """What transformers makes of the folder, in float32."""
    model, info = MusicgenForConditionalGeneration.from_pretrained(folder,
        torch_dtype=torch.float32, output_loading_info=True)
    renamed = {"text_encoder.shared.weight"} if "embed" in case else set()
    assert set(info["missing_keys"]) <= renamed | {"text_encoder.encoder.embed_tokens.weight"}, info
    assert not info["unexpected_keys"], info
    if renamed:  # transformers does not look under the second name of this tensor
        t = load_file(folder / "model.safetensors")[case["embed"]]
        model.text_encoder.shared.weight.data = t
    c = model.config.decoder
    positions = model.decoder.model.decoder.embed_positions
    positions.make_weights(c.max_position_embeddings, c.hidden_size)
    return model.eval()


# ---- what transformers makes of it -------------------------------------------


def frames_of(seconds, codec):
    """ceil(seconds * rate / hop), exactly."""
    whole, _, part = seconds.partition(".")
    n = int(whole + part) * codec.sampling_rate
    d = 10 ** len(part) * math.prod(codec.upsampling_ratios)
    return -(-n // d)


def delays(lm):
    per = lm.num_codebooks // lm.audio_channels
    return [k // lm.audio_channels for k in range(lm.num_codebooks)], per


def greedy_by_hand(model, states, mask, prompt, n_frames, guidance):
    """The delayed grid, column by column, without a cache: an independent
    check of generate(), and the only reference for one and two frames, where
    transformers drops the delay and audiocraft keeps it."""
    lm = model.config.decoder
    delay, per = delays(lm)
    pad, columns = lm.vocab_size, n_frames + per
    grid = torch.full((lm.num_codebooks, columns), -1)
    for k, d in enumerate(delay):
        grid[k, : d + 1] = pad
        grid[k, d + 1 + n_frames :] = pad
        grid[k, d + 1 : d + 1 + prompt.shape[1]] = prompt[k]
    for j in range(prompt.shape[1] + 1, columns):
        ids = grid[:, :j].repeat(len(states), 1)
        out = model.decoder(ids, encoder_hidden_states=states, encoder_attention_mask=mask)
        logits = out.logits[:, -1].reshape(len(states), lm.num_codebooks, -1)
        if len(states) == 2:
            logits = logits[1:] + (logits[:1] - logits[1:]) * guidance
        best = logits[0].argmax(-1)
        grid[:, j] = torch.where(grid[:, j] < 0, best, grid[:, j])
    return torch.stack([grid[k, d + 1 : d + 1 + n_frames] for k, d in enumerate(delay)])


def encode(codec, clip):
    """z [channels, frames, D], codes [K, frames] with channels interleaved,
    and the smallest relative gap between nearest and second nearest entry."""
    zs, codes, gap = [], [], math.inf
    for channel in clip:
        zs.append(codec.encoder(channel[None, None])[0].T)
        codes.append(codec.encode(channel[None, None]).audio_codes[0, 0])
        left = zs[-1]
        for q, layer in enumerate(codec.quantizer.layers[: len(codes[-1])]):
            d = torch.cdist(left.double(), layer.codebook.embed.double()) ** 2
            two = d.topk(2, largest=False).values
            gap = min(gap, ((two[:, 1] - two[:, 0]) / two[:, 1]).min().item())
            left = left - layer.codebook.embed[codes[-1][q]]
    return torch.stack(zs), torch.stack(codes, 1).flatten(0, 1), gap


def decode(codec, codes, channels):
    return torch.cat([codec.decode(codes[None, None, c::channels], [None]).audio_values[0]
        for c in range(channels)])


def condition(model, ids):
    """T5's output and what cross-attention sees of it, [S, ...] each."""
    t5 = model.text_encoder(ids).last_hidden_state
    cond = model.enc_to_dec_proj(t5) if hasattr(model, "enc_to_dec_proj") else t5
    return t5[0], cond[0]


def generate(model, r, ids, clip, prompt, n_frames):
    """One window by generate(): codes [K, T], guided and raw logits of every
    step, samples.  The prompt is a clip of audio, or codes."""
    _, per = delays(model.config.decoder)
    args = dict(guidance_scale=r["guidance"], input_ids=ids, attention_mask=torch.ones_like(ids))
    if r["prompt"] == "":
        args = dict(model.get_unconditional_inputs(1))
    if clip is not None:
        args["input_values"] = clip[None]
    elif prompt.shape[1]:
        args["decoder_input_ids"] = prompt
    args["max_new_tokens"] = n_frames + per - 1 - prompt.shape[1]
    seen = []
    decode_ = model.audio_encoder.decode

    def watch(codes, *a, **k):
        seen.append(codes[0, 0])
        return decode_(codes, *a, **k)

    model.audio_encoder.decode = watch
    try:
        out = model.generate(**args, do_sample=False, return_dict_in_generate=True,
            output_scores=True, output_logits=True)
    finally:
        model.audio_encoder.decode = decode_
    codes = torch.stack(seen, 1).flatten(0, 1)
    return codes, torch.stack(out.scores), torch.stack(out.logits), out.sequences[0]


def top_gap(scores):
    two = scores.topk(2, dim=-1).values
    return (two[..., 0] - two[..., 1]).min().item()


def differs(a, b):
    return (a.double() - b.double()).abs().max().item()


class Rejected(Exception):
    """This seed gives nothing that can be compared."""


def need(ok, why):
    if not ok:
        raise Rejected(why)


def render(model, exact, r, folder, clips, tensors, trained):
    """One run: tensors under its name, and its line of the manifest."""
    lm, codec = model.config.decoder, model.audio_encoder
    n_frames = frames_of(r["seconds"], codec.config)
    _, per = delays(lm)
    null, guided = r["prompt"] == "", r["guidance"] > 1
    ids = torch.tensor([[1] if null else tokenize(folder, r["prompt"])])
    clip = clips.get(r.get("clip"))
    prompt = torch.zeros((lm.num_codebooks, 0), dtype=torch.long)
    if clip is not None:
        prompt = encode(codec, clip)[1]
    t5, cond = condition(model, ids)
    states, mask = cond[None], torch.ones_like(ids)
    if null:
        states, mask = torch.zeros_like(states), torch.zeros_like(mask)
    elif guided:
        states = torch.cat([states, torch.zeros_like(states)])
        mask = torch.cat([mask, torch.zeros_like(mask)])
    out = dict(r, frames=n_frames, prompt_frames=prompt.shape[1])
    width = r.get("window", n_frames)
    codes, margins = prompt, []
    # As audiocraft does: each window begins with what it shares with the one before.
    offset = 0 if codes.shape[1] < width else codes.shape[1] - (width - width * 3 // 5)
    while codes.shape[1] < n_frames:
        n, given = min(n_frames - offset, width), codes[:, offset:]
        new = None
        if n <= 100:
            new = by_hand = greedy_by_hand(model, states, mask, given, n, r["guidance"])
        if n >= per - 1:
            audio = clip if codes is prompt and offset == 0 else None
            new, scores, logits, _ = generate(model, r, ids, audio, given, n)
            need(n > 100 or torch.equal(by_hand, new), "generate() and the loop by hand differ")
            margins.append(top_gap(scores))
            out["logits_std"] = scores.std().item()
            need(margins[-1] > (TRAINED_MARGIN if trained else MARGIN), f"{r['name']}: margin {margins[-1]:.1e}")
            need(trained or 5 < out["logits_std"] < 30, f"{r['name']}: logits {out['logits_std']}")
        codes = torch.cat([codes[:, :offset], new], 1)
        offset += width * 3 // 5
    if margins:
        out["margin"] = min(margins)
    wave = decode(codec, codes, lm.audio_channels)
    distinct = codes.unique(dim=1).shape[1]
    need(trained or n_frames < 20 or distinct > n_frames * 0.6, f"{r['name']}: repeats itself")
    exact_wave = decode(exact.audio_encoder, codes, lm.audio_channels)
    out["wave_noise"], out["wave_peak"] = differs(wave, exact_wave), wave.abs().max().item()
    if n_frames > 10 and not trained:
        need(0.3 < out["wave_peak"] < 3, f"peak {out['wave_peak']}")
    name = r["name"]
    tensors[f"{name}.codes"] = codes.to(torch.int16)
    tensors[f"{name}.wave"] = wave[:, :: r.get("stride", 1)].contiguous()
    if r.get("taps"):
        if not null:
            e5, econd = condition(exact, ids)
            tensors[f"{name}.ids"] = ids[0].to(torch.int32)
            tensors[f"{name}.t5"], tensors[f"{name}.cond"] = t5, cond.clone()
            out["t5_noise"], out["cond_noise"] = differs(t5, e5), differs(cond, econd)
        last = len(logits) - 1
        out["logit_steps"] = sorted({0, last // 2, last})
        eclip = None if clip is None else clip.double()
        _, _, elogits, ewave = generate(exact, r, ids, eclip, prompt, n_frames)
        need(differs(ewave, wave) < 1e-4, "samples of generate() differ")
        for step in out["logit_steps"]:
            tensors[f"{name}.logits.{step}"] = logits[step].contiguous()
        out["logits_noise"] = differs(logits, elogits)
        latent = torch.stack([codec.quantizer.decode(codes[c :: lm.audio_channels, None])[0].T
            for c in range(lm.audio_channels)])
        tensors[f"{name}.latent"] = latent.contiguous()
    return out


def make_clips(case, config, seed):
    if "clip" not in case:
        return {}
    hop = math.prod(config.audio_encoder.upsampling_ratios)
    n = int(case["clip"] * hop)
    rand = torch.Generator().manual_seed(1000 + seed)
    t = torch.arange(n) / config.audio_encoder.sampling_rate
    clip = torch.stack([0.4 * torch.sin(2 * math.pi * (330 + 110 * c) * t)
        + 0.2 * torch.randn(n, generator=rand) for c in range(config.decoder.audio_channels)])
    clips = {"clip": clip}
    if any(r.get("clip") == "click" for r in case["runs"]):
        clips["click"] = clip[:, :5].clone()
    return clips


@torch.no_grad()
def expect(name, case, folder, seed):
    """Manifest and tensors of a folder that holds the case's checkpoint."""
    model = load(case, folder)
    exact = copy.deepcopy(model).double()
    config, tensors = model.config, {}
    manifest = dict(case=name, seed=seed, channels=config.decoder.audio_channels,
        rate=config.audio_encoder.sampling_rate,
        hop=math.prod(config.audio_encoder.upsampling_ratios),
        codebooks=config.decoder.num_codebooks, vocab=config.decoder.vocab_size, clips=[], runs=[])
    clips = make_clips(case, config, seed)
    for clip_name, clip in clips.items():
        z, codes, gap = encode(model.audio_encoder, clip)
        need(gap > MARGIN, f"{clip_name}: codebook gap {gap:.1e}")
        noise = differs(z, encode(exact.audio_encoder, clip.double())[0])
        manifest["clips"].append(dict(name=clip_name, frames=codes.shape[1], gap=gap, noise=noise))
        tensors.update({clip_name: clip, f"{clip_name}.encoded": z,
            f"{clip_name}.codes": codes.to(torch.int16)})
    for r in case["runs"]:
        manifest["runs"].append(render(model, exact, r, folder, clips, tensors, "folder" in case))
    return manifest, {k: v.contiguous() for k, v in tensors.items()}


def rename_embedding(case, folder):
    if "embed" in case:
        state = load_file(folder / "model.safetensors")
        state[case["embed"]] = state.pop("text_encoder.shared.weight")
        save_file(state, folder / "model.safetensors", {"format": "pt"})


def clean(folder):
    """Nothing of the machine that made it."""
    for path in folder.glob("*config.json"):
        text = json.loads(path.read_text())
        text.pop("_name_or_path", None)
        path.write_text(json.dumps(text, indent=2, sort_keys=True) + "\n")


def write_expected(name, manifest, tensors):
    EXPECTED.mkdir(exist_ok=True)
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    (EXPECTED / f"{name}.json").write_text(text + "\n")
    save_file(tensors, EXPECTED / f"{name}.safetensors")


def make(name, case, search):
    if "folder" in case:
        write_expected(name, *expect(name, case, case["folder"], case["seed"]))
        return True
    for seed in range(case["seed"], 200 if search else case["seed"] + 1):
        with tempfile.TemporaryDirectory() as tmp:
            folder = pathlib.Path(tmp)
            try:
                with torch.no_grad():
                    save(case, make_model(case, folder, seed), folder)
                rename_embedding(case, folder)
                clean(folder)
                manifest, tensors = expect(name, case, folder, seed)
            except Rejected as why:
                print(f"{name}: seed {seed}: {why}", flush=True)
                continue
            shutil.rmtree(FIXTURES / name, ignore_errors=True)
            (FIXTURES / name).mkdir(parents=True)
            for path in folder.iterdir():
                (FIXTURES / name / path.name).write_bytes(path.read_bytes())
        write_expected(name, manifest, tensors)
        size = sum(f.stat().st_size for f in (FIXTURES / name).iterdir())
        extra = (EXPECTED / f"{name}.safetensors").stat().st_size
        print(f"{name}: seed {seed}, checkpoint {size} bytes, expected {extra} bytes", flush=True)
        return True
    return False


def verify(name, case):
    old = json.loads((EXPECTED / f"{name}.json").read_text())
    manifest, tensors = expect(name, case, case.get("folder", FIXTURES / name), old["seed"])
    kept = load_file(EXPECTED / f"{name}.safetensors")
    assert kept.keys() == tensors.keys(), kept.keys() ^ tensors.keys()
    worst = max((differs(kept[k], tensors[k]) if kept[k].numel() else 0, k) for k in kept)
    print(f"{name}: {len(kept)} tensors, largest difference {worst[0]:g} ({worst[1]})", flush=True)
    return worst[0] < 1e-4  # other processors add in another order


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    args.add_argument("cases", nargs="*")
    args.add_argument("--verify", action="store_true")
    args.add_argument("--search", action="store_true")
    args = args.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    ok = True
    for name in args.cases or CASES:
        ok &= verify(name, CASES[name]) if args.verify else make(name, CASES[name], args.search)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
