#!/usr/bin/env python3
"""Makes the tiny AudioLDM 2 checkpoints and what diffusers renders from them.

    make_fixtures.py              makes everything anew (three minutes)
    make_fixtures.py CASE...      only these

Versions are pinned in requirements.txt.  Each case is one folder in the layout of
diffusers, tests/fixtures/audioldm2/CASE, with random weights in f16, and a pair
expected/CASE.{json,safetensors} beside this file: the runs, and the tensors that the
networks give on the way.  Wirings are the real ones: GPT-2's vectors and T5's states
in slots behind a null, gated T5, attention in the bottom levels only.

Weights are scaled so that every layer's output is of the size of its input: each part
is audible in the samples.  What is expected are the same networks in float64; for each tensor
the manifest holds its "noise", from which the test derives its tolerances:
tests/parity/orders.py says what it is, and why.
"""

import copy
import io
import json
import math
import pathlib
import shutil
import sys

import numpy
import sentencepiece
import torch
from diffusers import (AudioLDM2Pipeline, AudioLDM2ProjectionModel,
                       AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler,
                       DPMSolverMultistepScheduler)
from safetensors.torch import save_file
from tokenizers import ByteLevelBPETokenizer
from transformers import (ClapConfig, ClapFeatureExtractor, ClapModel, GPT2Config, GPT2Model,
                          RobertaTokenizerFast, SpeechT5HifiGan, SpeechT5HifiGanConfig, T5Config,
                          T5EncoderModel, T5TokenizerFast)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import orders  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent.parent / "fixtures" / "audioldm2"
EXPECTED = HERE / "expected"

PROMPT = "80s pop track with bassy drums and synth, warm vinyl"
OTHER = "slow piano"
LONG = "rain on a tin roof, " * 12

# ---- the cases ---------------------------------------------------------------

BETAS = dict(beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear",
             clip_sample=False, set_alpha_to_one=False, steps_offset=1)
UNET = dict(
    sample_size=16, in_channels=4, out_channels=4, block_out_channels=(8, 8, 12, 12),
    layers_per_block=1, norm_num_groups=4, attention_head_dim=2,
    down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 3,
    up_block_types=("CrossAttnUpBlock2D",) * 3 + ("UpBlock2D",),
    cross_attention_dim=((None, 12, 20),) * 4,
)
VAE = dict(
    in_channels=1, out_channels=1, latent_channels=4, block_out_channels=(8, 12, 16),
    layers_per_block=1, norm_num_groups=4, scaling_factor=0.41,
    down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
)
VOCODER = dict(
    model_in_dim=32, sampling_rate=16000, upsample_initial_channel=32, upsample_rates=[5, 4, 2],
    upsample_kernel_sizes=[16, 8, 4], resblock_kernel_sizes=[3, 7, 11],
    resblock_dilation_sizes=[[1, 3, 5]] * 3, normalize_before=False,
)
T5 = dict(d_model=20, d_ff=28, num_layers=2, num_heads=2, d_kv=8, feed_forward_proj="gated-gelu")
GPT2 = dict(n_embd=12, n_layer=2, n_head=3, n_positions=128, vocab_size=4)
CLAP_TEXT = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                 max_position_embeddings=66)
CLAP_AUDIO = dict(
    patch_embeds_hidden_size=4, hidden_size=32, depths=[1, 2, 1, 2], num_attention_heads=[1, 2, 2, 4],
    enable_fusion=False, patch_embed_input_channels=1, num_mel_bins=64, spec_size=256, window_size=8,
)

SMALL_TOWER = dict(CLAP_AUDIO, hidden_size=8, depths=[1, 1], num_attention_heads=[1, 2])


def run(name, seconds, prompt=PROMPT, negative=None, guidance=3.5, steps=4, sampler=None, taps=True):
    return dict(name=name, seconds=seconds, prompt=prompt, negative=negative, guidance=guidance,
                steps=steps, sampler=sampler, taps=taps)


CASES = {
    # The wiring of the music model.
    "music": dict(
        seed=1,
        runs=[
            run("main", "0.16", negative=OTHER),  # the negative prompt is padded
            run("plain", "0.097", OTHER, guidance=1.0, steps=3),  # odd heights, no guidance
            run("cut", "0.04", OTHER, negative=LONG, guidance=7.5, steps=1),
            run("default", "0.16", "", steps=2),
            run("long", "0.07", LONG, guidance=2.0, steps=2),  # both tokenizers cut
            run("many", "0.05", steps=25, taps=False),
            run("few", "0.05", steps=6, sampler="dpmpp-2m", taps=False),
            run("solver", "0.05", OTHER, negative=PROMPT, steps=20, sampler="dpmpp-2m", taps=False),
        ],
        takes=4,
    ),
    # Channels of whole tiles: products of tiles, and convolutions in Winograd's form.
    "wide": dict(
        seed=4, clap_audio=SMALL_TOWER,
        unet=dict(UNET, block_out_channels=(32, 32), cross_attention_dim=((None, 12, 20),) * 2,
                  down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                  up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")),
        vae=dict(VAE, block_out_channels=(32, 32, 32)),
        runs=[run("main", "0.11", negative=OTHER), run("plain", "0.05", guidance=1.0, steps=2)],
    ),
    # Four slots, two blocks a stack.
    "large": dict(
        seed=2, clap_audio=SMALL_TOWER,
        unet=dict(UNET, block_out_channels=(8, 12), cross_attention_dim=((None, 12, 20, None),) * 2,
                  transformer_layers_per_block=2,
                  down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                  up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")),
        runs=[run("main", "0.11", negative=OTHER), run("plain", "0.05", guidance=1.0, steps=2)],
    ),
    # Every number another one, the scheduler's too, and keys that are not there.
    "odd": dict(
        seed=3, words="vocab", clap_audio=SMALL_TOWER, drop=["timestep_spacing"],
        unet=dict(UNET, sample_size=32, in_channels=6, out_channels=6, block_out_channels=(10, 15, 20),
                  layers_per_block=2, norm_num_groups=5, norm_eps=1e-4, attention_head_dim=(2, 3, 5),
                  flip_sin_to_cos=False, freq_shift=1,
                  down_block_types=("CrossAttnDownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"),
                  up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
                  cross_attention_dim=((9, None), (9, None), (9, None, 14))),
        vae=dict(VAE, latent_channels=6, block_out_channels=(6, 9), layers_per_block=2,
                 norm_num_groups=3, scaling_factor=0.9, down_block_types=("DownEncoderBlock2D",) * 2,
                 up_block_types=("UpDecoderBlock2D",) * 2),
        vocoder=dict(VOCODER, model_in_dim=12, sampling_rate=8000, upsample_initial_channel=20,
                     upsample_rates=[3, 4], upsample_kernel_sizes=[7, 8], resblock_kernel_sizes=[3, 5],
                     resblock_dilation_sizes=[[1, 2], [2, 6]], leaky_relu_slope=0.2),
        t5=dict(T5, d_model=14, d_ff=18, num_layers=3, num_heads=3, d_kv=4,
                relative_attention_num_buckets=8, relative_attention_max_distance=16),
        gpt2=dict(GPT2, n_embd=9, n_layer=3, n_inner=20, layer_norm_epsilon=1e-4),
        new_tokens=5,
        clap_text=dict(CLAP_TEXT, hidden_size=12, num_attention_heads=3, layer_norm_eps=1e-5),
        scheduler=dict(num_train_timesteps=500, beta_start=0.001, beta_end=0.03, beta_schedule="linear",
                       clip_sample=False, set_alpha_to_one=True, steps_offset=0,
                       prediction_type="v_prediction"),
        runs=[
            run("main", "0.093", negative=OTHER, steps=7),
            run("plain", "0.083", OTHER, guidance=0.5, steps=3),
            run("solver", "0.08", steps=6, sampler="dpmpp-2m", taps=False),
        ],
    ),
}

# ---- tokenizers --------------------------------------------------------------


def corpus():
    words = (PROMPT + " " + OTHER + " " + LONG).split()
    return [" ".join(words[i:i + 7]) for i in range(len(words) - 6)] * 3


def make_words(case, folder):
    """RoBERTa's and T5's tokenizers, of some hundred pieces; their sizes."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(corpus(), vocab_size=330, min_frequency=1, show_progress=False,
                            special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    to = folder / "tokenizer"
    to.mkdir(parents=True)
    bpe.save_model(str(to))
    first = RobertaTokenizerFast(str(to / "vocab.json"), str(to / "merges.txt"), model_max_length=40)
    first.save_pretrained(to)
    if case.get("words") == "vocab":
        (to / "tokenizer.json").unlink()
    else:
        (to / "vocab.json").unlink()
        (to / "merges.txt").unlink()
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, model_type="unigram", vocab_size=60,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, num_threads=1,
        character_coverage=1.0, minloglevel=2, normalization_rule_name="identity")
    to = folder / "tokenizer_2"
    to.mkdir()
    (to / "spiece.model").write_bytes(out.getvalue())
    second = T5TokenizerFast(vocab_file=str(to / "spiece.model"), extra_ids=0, model_max_length=44)
    second.save_pretrained(to)
    (to / "tokenizer.json").unlink()
    return first, second


# ---- weights -----------------------------------------------------------------


def spread(name, p):
    """Standard deviation and mean of a parameter."""
    if p.dim() < 2:
        is_norm = name.endswith("weight") and p.dim() == 1
        return (0.1, 1.0) if is_norm else (0.1, 0.0)
    fan_in = p[0].numel()
    if name.startswith("language_model"):
        fan_in = p.shape[0]
    if "upsampler." in name:
        fan_in = p.shape[0] * 2
    if "embed" in name and "patch" not in name or "shared" in name or "wpe" in name or "bias_table" in name:
        return 0.7, 0.0
    if "resblocks" in name or "conv_post" in name:
        return 0.5 / math.sqrt(fan_in), 0.0
    return 1 / math.sqrt(fan_in), 0.0


def fill(name, module, seed):
    """All parameters from one generator in the order of their names, rounded to f16."""
    rand = torch.Generator().manual_seed(seed)
    for key, p in sorted(dict(module.named_parameters()).items()):
        scale, mean = spread(name + "." + key, p)
        value = torch.randn(p.shape, generator=rand) * scale + mean
        p.data = value.half().float()
    for key, b in sorted(dict(module.named_buffers()).items()):
        if "running_mean" in key:
            b.copy_((torch.randn(b.shape, generator=rand) - 5).half().float())
        if "running_var" in key:
            b.copy_((torch.rand(b.shape, generator=rand) * 20 + 5).half().float())


def make_pipeline(case, folder):
    words, pieces = make_words(case, folder)
    clap = ClapConfig(
        text_config=dict(case.get("clap_text", CLAP_TEXT), vocab_size=len(words)),
        audio_config=case.get("clap_audio", CLAP_AUDIO), projection_dim=10)
    gpt2 = GPT2Config(**case.get("gpt2", GPT2))
    gpt2.max_new_tokens = case.get("new_tokens", 8)
    t5 = T5Config(vocab_size=len(pieces), **case.get("t5", T5))
    parts = dict(
        text_encoder=ClapModel(clap), text_encoder_2=T5EncoderModel(t5),
        projection_model=AudioLDM2ProjectionModel(10, t5.d_model, gpt2.n_embd),
        language_model=GPT2Model(gpt2),
        unet=AudioLDM2UNet2DConditionModel(**case.get("unet", UNET)),
        vae=AutoencoderKL(**case.get("vae", VAE)),
        vocoder=SpeechT5HifiGan(SpeechT5HifiGanConfig(**case.get("vocoder", VOCODER))),
    )
    for i, (name, module) in enumerate(sorted(parts.items())):
        fill(name, module.eval(), case["seed"] * 100 + i)
    pipe = AudioLDM2Pipeline(
        tokenizer=words, tokenizer_2=pieces, scheduler=DDIMScheduler(**case.get("scheduler", BETAS)),
        feature_extractor=ClapFeatureExtractor(
            feature_size=64, sampling_rate=48000, hop_length=480, fft_window_size=1024,
            frequency_min=50, frequency_max=14000, padding="repeatpad", truncation="rand_trunc"),
        **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def save_pipeline(case, pipe, folder):
    """In f16, without what only training or nobody needs."""
    for name in ("text_encoder", "text_encoder_2", "projection_model", "language_model", "unet", "vae",
                 "vocoder"):
        module = getattr(pipe, name)
        copy.deepcopy(module).half().save_pretrained(folder / name)
    pipe.scheduler.save_pretrained(folder / "scheduler")
    pipe.feature_extractor.save_pretrained(folder / "feature_extractor")
    index = {"_class_name": "AudioLDM2Pipeline", "_diffusers_version": "0.32.2"}
    for name, module in sorted(pipe.components.items()):
        kind = type(module)
        index[name] = [kind.__module__.split(".")[0], kind.__name__]
    (folder / "model_index.json").write_text(json.dumps(index, indent=1) + "\n")
    path = folder / "scheduler" / "scheduler_config.json"
    config = {k: v for k, v in json.loads(path.read_text()).items() if k not in case.get("drop", [])}
    path.write_text(json.dumps(config, indent=1) + "\n")
    for config in folder.rglob("config.json"):  # names of this machine's folders
        text = {k: v for k, v in json.loads(config.read_text()).items() if k != "_name_or_path"}
        config.write_text(json.dumps(text, indent=1) + "\n")


# ---- runs --------------------------------------------------------------------


class Solver(DPMSolverMultistepScheduler):
    def set_timesteps(self, *args, **kwargs):
        super().set_timesteps(*args, **kwargs)
        squared = self.alphas_cumprod[self.timesteps]
        self.sigmas = torch.cat([((1 - squared) / squared) ** 0.5, torch.zeros(1, dtype=torch.float64)])


def scheduler_for(folder, name):
    """In double precision.  The schedulers' own products of 1 - beta are of float32: what they leave
    of 1 is off by 1e-5 of itself where noise is least, in every run alike, float64 or not."""
    kind = DDIMScheduler if name is None else Solver
    scheduler = kind.from_config(DDIMScheduler.load_config(folder / "scheduler"))
    c = scheduler.config
    power = 2 if c.beta_schedule == "scaled_linear" else 1
    betas = torch.linspace(c.beta_start ** (1 / power), c.beta_end ** (1 / power), c.num_train_timesteps,
                           dtype=torch.float64) ** power
    scheduler.alphas_cumprod = torch.cumprod(1 - betas, 0)
    if name is None and not c.set_alpha_to_one:
        scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    return scheduler


def sample_count(pipe, seconds):
    return round(float(seconds) * pipe.vocoder.config.sampling_rate)


def height_of(pipe, n):
    """The least latent height whose samples are at least n."""
    hop = math.prod(pipe.vocoder.config.upsample_rates) * pipe.vae_scale_factor
    length = 1
    while True:
        frames = length * pipe.vae_scale_factor
        for u, k in zip(pipe.vocoder.config.upsample_rates, pipe.vocoder.config.upsample_kernel_sizes):
            frames = (frames - 1) * u - (k - u) // 2 * 2 + k
        if frames >= n:
            return length
        assert length * hop < n + 10 * hop
        length += 1


def parts_of(pipe):
    return [getattr(pipe, name) for name in ("text_encoder", "text_encoder_2",
        "projection_model", "language_model", "unet", "vae", "vocoder")]


def render(pipe, folder, r, latents, dtype):
    """{name: tensor}, [the batch's negative half first where there is one]."""
    seen = {}
    steps = []

    def keep(name):
        def hook(module, args, kwargs, output):
            seen[name] = output
        return hook

    pipe = copy.deepcopy(pipe)
    pipe.set_progress_bar_config(disable=True)
    for part in parts_of(pipe):
        part.to(dtype)
    pipe.scheduler = scheduler_for(folder, r["sampler"])
    rate = pipe.vocoder.config.sampling_rate
    texts = []
    original = pipe.text_encoder.get_text_features

    def get_text_features(*args, **kwargs):
        texts.append(original(*args, **kwargs))
        return texts[-1]

    pipe.text_encoder.get_text_features = get_text_features
    pipe.unet.register_forward_hook(lambda m, a, k, out: steps.append(out[0]), with_kwargs=True)
    decode = pipe.vae.decode
    pipe.vae.decode = lambda z: seen.setdefault("mel", decode(z))
    original_encode = pipe.encode_prompt

    def encode_prompt(*args, **kwargs):
        seen["prompt"] = original_encode(*args, **kwargs)
        return seen["prompt"]

    pipe.encode_prompt = encode_prompt
    torch.set_default_dtype(dtype)
    try:
        with torch.no_grad():
            wave = pipe(r["prompt"], audio_length_in_s=max(float(r["seconds"]), 0.05),
                        num_inference_steps=r["steps"], guidance_scale=r["guidance"],
                        negative_prompt=r["negative"], latents=latents.to(dtype),
                        callback=lambda i, t, x: seen.__setitem__("latents", x.clone()),
                        output_type="pt").audios
    finally:
        torch.set_default_dtype(torch.float32)
    n = sample_count(pipe, r["seconds"])
    # The pipeline cuts by a length that it rounds in its own way: ask the vocoder again.
    full = pipe.vocoder(seen["mel"].sample.squeeze(1)).detach()[:, :n]
    assert torch.allclose(full[:, :wave.shape[1]].float(), wave[:, :n].float(), atol=1e-5)
    states, mask, generated = seen["prompt"]
    guided = r["guidance"] > 1
    out = {"wave": full[0], "latents": seen["latents"][0]}
    if r["taps"]:
        out["mel"] = seen["mel"].sample[0, 0]
        for i, key in enumerate(("negative", "positive") if guided else ("positive",)):
            out["clap." + key] = texts[(1 - i) if guided else 0][0]
            out["t5." + key] = states[i][mask[i].bool()]
            out["generated." + key] = generated[i]
        for i in (0, len(steps) - 1):
            p = steps[i]
            out["prediction.%d" % (i + 1)] = p[0] + r["guidance"] * (p[1] - p[0]) if guided else p[0]
    assert wave.shape[0] == 1 and rate
    return {k: v.detach() for k, v in out.items()}


def rank(pipe, takes, dtype):
    """CLAP's score of each take, and what its features look like."""
    import librosa
    clap = copy.deepcopy(pipe.text_encoder).to(dtype)
    rate = pipe.vocoder.config.sampling_rate
    waves = [librosa.resample(t.numpy().astype(numpy.float32), orig_sr=rate, target_sr=48000) for t in takes]
    features = pipe.feature_extractor(waves, return_tensors="pt", sampling_rate=48000).input_features
    tokens = pipe.tokenizer(PROMPT, return_tensors="pt", padding=True)
    with torch.no_grad():
        audio = clap.get_audio_features(input_features=features.to(dtype))
        logits = clap(**tokens, input_features=features.to(dtype)).logits_per_text[0]
    return {"features": features[:, 0, ::77], "audio": audio,
            "cosines": logits / clap.logit_scale_t.exp()}


def make_case(name, case):
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pipe = make_pipeline(case, folder)
    save_pipeline(case, pipe, folder)
    channels = pipe.unet.config.in_channels
    width = pipe.vocoder.config.model_in_dim // pipe.vae_scale_factor
    tensors, runs = {}, []
    for i, r in enumerate(case["runs"]):
        n = sample_count(pipe, r["seconds"])
        rand = torch.Generator().manual_seed(case["seed"] * 1000 + i)
        latents = torch.randn((1, channels, height_of(pipe, n), width), generator=rand)
        double = render(pipe, folder, r, latents, torch.float64)
        runs_f32 = orders.in_orders(lambda: render(pipe, folder, r, latents, torch.float32), parts_of(pipe))
        noise = {k: orders.noise_of(k, double, runs_f32) for k in double}
        tensors[r["name"] + ".noise"] = latents[0]
        for key, value in double.items():
            tensors["%s.%s" % (r["name"], key)] = value.float().contiguous()
        runs.append(dict(r, samples=n, noise={k: float("%.3g" % v) for k, v in noise.items()}))
        print("%s %s: peak %.3g, noise %.2g" % (name, r["name"], double["wave"].abs().max(), noise["wave"]), flush=True)
    manifest = dict(rate=pipe.vocoder.config.sampling_rate, runs=runs)
    if case.get("takes"):
        manifest["rank"] = make_rank(pipe, case, tensors)
    EXPECTED.mkdir(exist_ok=True)
    save_file(tensors, EXPECTED / (name + ".safetensors"))
    (EXPECTED / (name + ".json")).write_text(json.dumps(manifest, indent=1) + "\n")


def make_rank(pipe, case, tensors):
    """Takes that are noise of different colours, so that their scores differ."""
    rand = numpy.random.RandomState(case["seed"])
    takes = []
    for i in range(case["takes"]):
        white = rand.standard_normal(1200 + 333 * i)
        takes.append(torch.tensor(numpy.convolve(white, numpy.ones(1 + 2 * i) / 3, "same") * 0.2).float())
    double = rank(pipe, takes, torch.float64)
    singles = orders.in_orders(lambda: rank(pipe, takes, torch.float32), parts_of(pipe))
    for i, t in enumerate(takes):
        tensors["rank.take.%d" % i] = t
    for key, value in double.items():
        tensors["rank." + key] = value.float().contiguous()
    return dict(prompt=PROMPT, takes=case["takes"], stride=77,
                noise={k: orders.noise_of(k, double, singles) for k in double})


def main():
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # its order of summation depends on the machine
    for name in sys.argv[1:] or CASES:
        make_case(name, CASES[name])


if __name__ == "__main__":
    main()
