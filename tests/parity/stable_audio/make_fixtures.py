#!/usr/bin/env python3
"""Makes the tiny Stable Audio checkpoints and what diffusers renders from them.

    make_fixtures.py [CASE...]    makes all, or these, anew (some minutes)
    make_fixtures.py --spread     prints how far float32 is off, order by order

Versions are pinned in requirements.txt (k-diffusion and stable-audio-tools without
their dependencies; only the cases `flow` and `tools` need them).  Each case is a folder,
tests/fixtures/stable_audio/CASE, with random weights, and a pair
expected/CASE.{json,safetensors} beside this file: the runs, and the tensors that the
reference computes on the way, in float64, with the noise that is injected into both.

The manifest holds for each tensor its "noise", from which the tests derive their
tolerances: tests/parity/orders.py says what it is, and why.

Weights are scaled so that activations keep a deviation near 1: what a network does wrong then
shows.  The tokenizer is that of a MusicGen fixture.
"""

import contextlib
import json
import math
import pathlib
import shutil
import sys
import tempfile
import types

import torch
from diffusers import (
    AutoencoderOobleck,
    CosineDPMSolverMultistepScheduler,
    StableAudioDiTModel,
    StableAudioPipeline,
)
from diffusers.pipelines.stable_audio import StableAudioProjectionModel
from diffusers.schedulers import scheduling_cosine_dpmsolver_multistep as scheduling
from safetensors.torch import save_file
from transformers import T5Config, T5EncoderModel, T5Tokenizer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import orders  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parent.parent / "fixtures" / "stable_audio"
SPIECE = HERE.parent.parent / "fixtures" / "musicgen" / "half" / "spiece.model"
EXPECTED = HERE / "expected"

# ---- the cases ---------------------------------------------------------------

TEXT = dict(d_model=16, d_ff=40, num_layers=2, num_heads=2, d_kv=8, feed_forward_proj="relu",
    vocab_size=320)
DIT = dict(sample_size=24.0, in_channels=6, out_channels=6, num_layers=2, attention_head_dim=8,
    num_attention_heads=4, num_key_value_attention_heads=2, cross_attention_dim=16,
    cross_attention_input_dim=16, global_states_input_dim=32, time_proj_dim=16)
VAE = dict(encoder_hidden_size=12, downsampling_ratios=[2, 4], decoder_channels=8,
    decoder_input_channels=6, audio_channels=2, channel_multiples=[1, 2], sampling_rate=4000)
NUMBERS = dict(text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=32)

PROMPT = "80s pop track with bassy drums and synth"
OTHER = "slow piano, rain on a tin roof"
WORDY = " ".join([OTHER] * 8)


def run(name, prompt=PROMPT, steps=5, cfg=6.0, **more):
    """negative; seconds; init: strength of the noise on the clip; taps: the tensors on the
    way are kept; sampler: other than the pipeline's."""
    return dict(name=name, prompt=prompt, steps=steps, cfg=cfg, **more)


RUNS = [
    run("main", taps=True),
    run("plain", OTHER, cfg=1.0, taps=True),
    run("negative", negative=OTHER, cfg=3.0, taps=True),
    run("negative-empty", negative=""),
    run("empty", ""),
    run("wordy", WORDY, steps=3),
    run("trimmed", seconds="0.03"),
    run("two", steps=2),
    run("many", steps=20, cfg=2.5),
]
CASES = {
    # The released wiring in miniature: half as many heads for the text, half of a head
    # turns, even ratios.
    "whole": dict(seed=1, runs=RUNS + [run("init", init=0.4), run("init-weak", init=0.1)]),
    # Sizes that divide nothing, a projection of the text, odd ratios (which lose samples),
    # one head for the text, shards.
    "odd": dict(seed=2, shards="60KB",
        text=dict(TEXT, d_model=20, d_ff=37, num_layers=3, num_heads=3, d_kv=5),
        dit=dict(DIT, sample_size=11, in_channels=3, out_channels=3, attention_head_dim=12,
            num_attention_heads=3, num_key_value_attention_heads=1, cross_attention_dim=12,
            cross_attention_input_dim=9, global_states_input_dim=18, time_proj_dim=10,
            num_layers=3),
        vae=dict(VAE, encoder_hidden_size=6, downsampling_ratios=[1, 2, 3], decoder_channels=5,
            decoder_input_channels=3, channel_multiples=[2, 3, 4], audio_channels=1),
        numbers=dict(NUMBERS, text_encoder_dim=20, conditioning_dim=9), limit=25,
        runs=RUNS[:6] + [run("trimmed", seconds="0.0125")]),
    "bfloat": dict(seed=3, dtype=torch.bfloat16, runs=RUNS[:3]),
    # One file of a distilled small model: layer norm on queries and keys, the text
    # projected to the width, one number, rectified flow.
    "flow": dict(seed=5, flow=True, runs=[
        run("main", cfg=1.0, sampler="pingpong", taps=True),
        run("guided", cfg=4.0, sampler="euler", taps=True),
        run("dpmpp", OTHER, steps=6, cfg=1.0, sampler="dpmpp"),
        run("rk4", steps=3, cfg=4.0, sampler="rk4", taps=True),
        run("trimmed", cfg=1.0, sampler="pingpong", seconds="0.03"),
        run("init", cfg=1.0, sampler="euler", init=0.6)]),
    # The same as one file, as stable-audio-tools keeps it.
    "tools": dict(seed=1, tools=True, dit=dict(DIT, attention_head_dim=64, num_attention_heads=1,
        num_key_value_attention_heads=1, cross_attention_dim=64, num_layers=1,
        time_proj_dim=256), runs=[dict(r, sampler="dpmpp-2m-sde") for r in RUNS[:4]] + [
        run("angle", sampler="v-ddim", taps=True),
        run("angle-negative", negative=OTHER, cfg=3.0, sampler="v-ddim"),
        run("angle-init", sampler="v-ddim", init=0.4),
        run("angle-plus", sampler="v-ddim-cfgpp", taps=True)]),
}

# ---- weights -----------------------------------------------------------------


def random_weights(model, rand):
    """Every parameter from one generator, in the order of the names."""
    for name, p in sorted(model.named_parameters()):
        x = torch.randn(p.shape, generator=rand)
        fan_in = p[0].numel() if p.dim() > 1 else 1
        if "norm" in name and name.endswith("weight") or name.endswith("weight_g"):
            x = 1 + 0.2 * x
        elif name.endswith("bias"):
            x = 0.2 * x
        elif name.endswith(("alpha", "beta")):
            x = 0.3 * x
        elif "shared" in name or "time_proj" in name or name.endswith("weights"):
            pass  # embeddings and frequencies
        elif "relative_attention_bias" not in name:
            x = 1.2 * x / math.sqrt(max(1, fan_in))
        p.data = x


def scale_vae(vae, rand, channels):
    """Scales the output of each convolution to a fixed deviation."""
    def hook(module, args, out):
        by = (0.3 if module in ends else 0.7) / out.std()
        module.weight_g.data *= by
        if module.bias is not None:
            module.bias.data *= by
        return out * by

    def measure(net, x):
        hooks = [m.register_forward_hook(hook) for m in net.modules() if hasattr(m, "weight_g")]
        with torch.no_grad():
            net(x)
        for h in hooks:
            h.remove()

    ends = [vae.decoder.conv2]
    measure(vae.decoder, torch.randn(1, channels, 64, generator=rand))
    ends = []
    measure(vae.encoder, torch.randn(1, vae.config.audio_channels, 512, generator=rand) * 0.3)


def make_pipe(case, folder):
    rand = torch.Generator().manual_seed(case["seed"])
    text = T5Config(**case.get("text", TEXT))
    numbers, dit, vae = case.get("numbers", NUMBERS), case.get("dit", DIT), case.get("vae", VAE)
    shutil.copy(SPIECE, folder / "spiece.model")
    tokenizer = T5Tokenizer(str(folder / "spiece.model"), extra_ids=0, legacy=True,
        model_max_length=case.get("limit", 20))
    (folder / "spiece.model").unlink()
    parts = dict(
        text_encoder=T5EncoderModel(text), projection_model=StableAudioProjectionModel(**numbers),
        transformer=StableAudioDiTModel(**dit), vae=AutoencoderOobleck(**vae))
    for part in parts.values():
        random_weights(part, rand)
        part.eval()
    scale_vae(parts["vae"], rand, dit["in_channels"])
    return StableAudioPipeline(tokenizer=tokenizer,
        scheduler=CosineDPMSolverMultistepScheduler(), **parts)


def save_pipe(pipe, case, folder):
    dtype = case.get("dtype", torch.float32)
    pipe.to(dtype)
    pipe.save_pretrained(folder, max_shard_size=case.get("shards", "10GB"))
    for name in ("special_tokens_map.json", "added_tokens.json"):
        (folder / "tokenizer" / name).unlink(missing_ok=True)
    pipe.to(torch.float32)


# ---- one file ----------------------------------------------------------------


def to_tools(pipe, case, folder):
    """The weights under the names of stable-audio-tools, and its description."""
    out = {}
    dit = pipe.transformer.state_dict()
    for name, x in dit.items():
        if ".attn1.to_k." in name or ".attn1.to_v." in name or ".attn2.to_v." in name:
            continue
        if ".attn1.to_q." in name:
            x = torch.cat([dit[name.replace("to_q", k)] for k in ("to_q", "to_k", "to_v")])
        if ".attn2.to_k." in name:
            x = torch.cat([x, dit[name.replace("to_k", "to_v")]])
        for a, b in (
            ("timestep_proj", "to_timestep_embed"), ("time_proj", "timestep_features"),
            ("cross_attention_proj", "to_cond_embed"), ("global_proj", "to_global_embed"),
            ("proj_in", "transformer.project_in"), ("proj_out", "transformer.project_out"),
            ("transformer_blocks", "transformer.layers"), ("norm1", "pre_norm"),
            ("norm2", "cross_attend_norm"), ("norm3", "ff_norm"), ("to_out.0", "to_out"),
            ("attn1.to_q", "self_attn.to_qkv"), ("attn2.to_k", "cross_attn.to_kv"),
            ("attn1", "self_attn"), ("attn2", "cross_attn"),
            ("ff.net.0", "ff.ff.0"), ("ff.net.2", "ff.ff.2")):
            name = name.replace(a, b)
        if "_norm." in name:
            name = name.replace("weight", "gamma").replace("bias", "beta")
        if "timestep_features" in name:
            x = x[:, None]
        out["model.model." + name] = x
    out["model.model.transformer.rotary_pos_emb.inv_freq"] = torch.ones(16)
    n = len(case.get("vae", VAE)["downsampling_ratios"])
    for name, x in pipe.vae.state_dict().items():
        half, *rest = name.split(".")
        if rest[0] == "block":
            block, unit = int(rest[1]) + 1, rest[2]
            up = half == "decoder"
            if unit.startswith("res_unit"):
                inner = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}[rest[3]]
                path = f"layers.{block}.layers.{int(unit[-1]) - 1 + 2 * up}.layers.{inner}"
            else:
                path = f"layers.{block}.layers.{3 * (not up) + (unit != 'snake1')}"
        else:
            path = "layers." + {"conv1": "0", "snake1": str(n + 1), "conv2": str(n + 2)}[rest[0]]
        out[f"pretransform.model.{half}.{path}.{rest[-1]}"] = (
            x.flatten() if rest[-1] in ("alpha", "beta") else x)
    for name, x in pipe.projection_model.state_dict().items():
        which = "seconds_start" if name.startswith("start") else "seconds_total"
        rest = name.split("time_positional_embedding.")[1]
        out[f"conditioner.conditioners.{which}.embedder.embedding.{rest}"] = x
    save_file({k: v.contiguous().clone() for k, v in out.items()}, folder / "model.safetensors")
    (folder / "model_config.json").write_text(json.dumps(tools_config(case), indent=1) + "\n")


def tools_config(case):
    vae, dit, numbers = (case.get(k, d) for k, d in
        (("vae", VAE), ("dit", DIT), ("numbers", NUMBERS)))
    common = dict(c_mults=vae["channel_multiples"], strides=vae["downsampling_ratios"],
        use_snake=True)
    second = dict(min_val=numbers["min_value"], max_val=numbers["max_value"])
    return dict(
        model_type="diffusion_cond", sample_rate=vae["sampling_rate"], audio_channels=2,
        sample_size=int(dit["sample_size"]) * math.prod(vae["downsampling_ratios"]),
        model=dict(
            pretransform=dict(type="autoencoder", config=dict(
                encoder=dict(type="oobleck", config=dict(common, in_channels=2,
                    channels=vae["encoder_hidden_size"], latent_dim=vae["encoder_hidden_size"])),
                decoder=dict(type="oobleck", config=dict(common, out_channels=2,
                    channels=vae["decoder_channels"], latent_dim=vae["decoder_input_channels"],
                    final_tanh=False)),
                bottleneck=dict(type="vae"))),
            conditioning=dict(cond_dim=numbers["conditioning_dim"], configs=[
                dict(id="prompt", type="t5",
                    config=dict(t5_model_name="t5-base", max_length=case.get("limit", 20))),
                dict(id="seconds_start", type="number", config=second),
                dict(id="seconds_total", type="number", config=second)]),
            diffusion=dict(type="dit", config=dict(
                io_channels=dit["in_channels"],
                embed_dim=dit["attention_head_dim"] * dit["num_attention_heads"],
                depth=dit["num_layers"], num_heads=dit["num_attention_heads"],
                cond_token_dim=dit["cross_attention_input_dim"],
                global_cond_dim=dit["global_states_input_dim"],
                project_cond_tokens=dit["cross_attention_dim"]
                != dit["cross_attention_input_dim"],
                transformer_type="continuous_transformer")),
            io_channels=dit["in_channels"]))


# ---- reference ---------------------------------------------------------------

NOISE = {}


class Recorded:
    """In place of the Brownian tree: draw by draw."""

    def __init__(self, x, **unused):
        self.at, self.like = 0, x

    def __call__(self, sigma, sigma_next):
        z = NOISE["steps"]
        self.at += 1
        if self.at > len(z):
            return torch.zeros_like(self.like)
        return z[self.at - 1][None].to(self.like)


scheduling.BrownianTreeNoiseSampler = Recorded


class Exact(CosineDPMSolverMultistepScheduler):
    """The grid in double precision; the scheduler's own steps from float32 to float32 and is off by
    1e-6 of a step."""

    def set_timesteps(self, n, device=None):
        super().set_timesteps(n, device)
        low, high = math.log(self.config.sigma_min), math.log(self.config.sigma_max)
        sigmas = torch.linspace(low, high, n, dtype=torch.float64).exp().flip(0)
        self.timesteps = self.precondition_noise(sigmas)
        self.sigmas = torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])


@contextlib.contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(torch.float32)


def sigma_max(strength):
    return 0.3 * (500 / 0.3) ** strength


def reference(pipe, r, dtype, clip):
    """Tensors by name."""
    pipe.to(dtype)
    seen, hooks = {}, []

    def keep(name, pick):
        def hook(module, args, kwargs, out):
            seen.setdefault(name, pick(args, kwargs, out).double())
        return hook

    scheduler = Exact if dtype == torch.float64 else CosineDPMSolverMultistepScheduler
    pipe.scheduler = scheduler(
        sigma_max=sigma_max(r["init"]) if "init" in r else 500)
    n = pipe.transformer.config.sample_size * math.prod(pipe.vae.config.downsampling_ratios)
    seconds = float(r["seconds"]) if "seconds" in r else n / pipe.vae.config.sampling_rate
    branch = 1 if r["cfg"] > 1 else 0
    hooks.append(pipe.text_encoder.register_forward_hook(
        keep("t5", lambda a, k, o: o[0][0]), with_kwargs=True))
    hooks.append(pipe.transformer.register_forward_hook(
        keep("condition", lambda a, k, o: k["encoder_hidden_states"][branch]), with_kwargs=True))
    hooks.append(pipe.transformer.register_forward_hook(
        keep("velocity", lambda a, k, o: o[0][branch]), with_kwargs=True))
    eps = NOISE["latents"][None].to(dtype)
    if "sampler" in r:  # k-diffusion's samplers begin with sigma, not sqrt(sigma^2 + 1)
        eps = eps * (500 / (500**2 + 1) ** 0.5)
    if "init" in r:
        audio = torch.zeros(1, pipe.vae.config.audio_channels, int(n), dtype=dtype)
        audio[0, :, : clip.shape[1]] = clip.to(dtype)
        with torch.no_grad():
            z = pipe.vae.encode(audio).latent_dist.mean
        s = sigma_max(r["init"])
        seen["init"] = z[0].double()
        eps = (z + s * eps) / (s * s + 1) ** 0.5

    def callback(step, t, latents):
        seen[f"latents{step + 1}"] = latents[0].double()

    with torch.no_grad():
        audio = pipe(r["prompt"], negative_prompt=r.get("negative"), audio_end_in_s=seconds,
            num_inference_steps=r["steps"], guidance_scale=r["cfg"], latents=eps,
            output_type="pt", callback=callback, callback_steps=1).audios
    for h in hooks:
        h.remove()
    seen["wave"] = audio[0].double()
    pipe.to(torch.float32)
    return seen


# ---- v-diffusion's sampler, by stable-audio-tools ----------------------------


def angle_reference(pipe, sampling, r, dtype, clip):
    """Tensors by name: the pipeline's conditions and transformer, the package's sampler."""
    pipe.to(dtype)
    seen, kept = {}, {}

    def keep(module, args, kwargs):
        kept.update(kwargs)

    pipe.scheduler = CosineDPMSolverMultistepScheduler()
    hook = pipe.transformer.register_forward_pre_hook(keep, with_kwargs=True)
    n = pipe.transformer.config.sample_size * math.prod(pipe.vae.config.downsampling_ratios)
    eps = NOISE["latents"][None].to(dtype)
    with torch.no_grad():
        pipe(r["prompt"], negative_prompt=r.get("negative"),
            audio_end_in_s=n / pipe.vae.config.sampling_rate, num_inference_steps=2,
            guidance_scale=r["cfg"], latents=eps, output_type="latent")
    hook.remove()
    kept["return_dict"] = False

    def model(x, t, return_info=False):
        without, text = pipe.transformer(torch.cat([x, x]), t, **kept)[0].chunk(2)
        v = without + r["cfg"] * (text - without)
        return (v, dict(uncond_output=without)) if return_info else v

    init = None
    with torch.no_grad(), default_dtype(dtype):
        if "init" in r:
            audio = torch.zeros(1, pipe.vae.config.audio_channels, int(n), dtype=dtype)
            audio[0, :, : clip.shape[1]] = clip.to(dtype)
            init = pipe.vae.encode(audio).latent_dist.mean
            seen["init"] = init[0].double()
        x = sampling.sample_k(model, eps, init_data=init, steps=r["steps"],
            sampler_type=r["sampler"], sigma_max=r.get("init", 1), device="cpu")
        seen[f"latents{r['steps']}"] = x[0].double()
        seen["wave"] = pipe.vae.decode(x).sample[0].double()
    pipe.to(torch.float32)
    return seen


# ---- rectified flow, by stable-audio-tools -----------------------------------

FLOW = dict(io_channels=6, embed_dim=64, depth=1, num_heads=1, cond_token_dim=16,
    global_cond_dim=16, transformer_type="continuous_transformer",
    attn_kwargs=dict(qk_norm="ln"))


def tools():
    """The package's transformer and samplers, without what they import and do not use."""
    sys.modules["k_diffusion"] = types.ModuleType("k_diffusion")
    from stable_audio_tools.inference import sampling
    from stable_audio_tools.models.dit import DiffusionTransformer

    return DiffusionTransformer, sampling


def flow_reference(pipe, dit, sampling, r, dtype, clip):
    """Tensors by name; pipe: the other parts."""
    pipe.to(dtype)
    dit.to(dtype)
    seen = {}
    rate, n = pipe.vae.config.sampling_rate, NOISE["latents"].shape[1]
    n *= math.prod(pipe.vae.config.downsampling_ratios)
    seconds = float(r["seconds"]) if "seconds" in r else n / rate
    limit = pipe.tokenizer.model_max_length
    words = pipe.tokenizer(r["prompt"], padding="max_length", max_length=limit, truncation=True,
        return_tensors="pt")
    x = NOISE["latents"][None].to(dtype)
    z = iter(NOISE["steps"].to(dtype))

    def model(x, t, **unused):
        out = dit(x, t, cross_attn_cond=rows, global_embed=number[:, 0], cfg_scale=r["cfg"])
        if r["cfg"] == 1:
            seen.setdefault("velocity", out[0].double())
        return out

    with torch.no_grad(), default_dtype(dtype):
        text = pipe.text_encoder(words.input_ids, attention_mask=words.attention_mask)[0]
        seen["t5"] = text[0].double()
        text = text * words.attention_mask[..., None].to(dtype)
        number = pipe.projection_model.end_number_conditioner(torch.tensor([seconds])).to(dtype)
        number = number.reshape(1, 1, -1)
        rows = torch.cat([text, number], dim=1)
        seen["condition"] = rows[0].double()
        init = None
        if "init" in r:
            audio = torch.zeros(1, 2, n, dtype=dtype)
            audio[0, :, : clip.shape[1]] = clip.to(dtype)
            init = pipe.vae.encode(audio).latent_dist.mean
            seen["init"] = init[0].double()
        sampling.torch.randn_like = lambda like: next(z)[None]
        x = sampling.sample_rf(model, x, init_data=init, steps=r["steps"],
            sampler_type=r["sampler"], sigma_max=r.get("init", 1))
        seen[f"latents{r['steps']}"] = x[0].double()
        wave = pipe.vae.decode(x).sample[0]
    seen["wave"] = wave[:, : int(seconds * rate)].double()
    pipe.to(torch.float32)
    dit.to(torch.float32)
    return seen


def make_flow(case, folder):
    """The parts of a diffusers pipeline, saved as one file with another transformer."""
    DiffusionTransformer, sampling = tools()
    pipe = make_pipe(case, folder)
    dit = DiffusionTransformer(diffusion_objective="rf_denoiser", **FLOW)
    random_weights(dit, torch.Generator().manual_seed(case["seed"] + 1))
    save_pipe(pipe, case, folder)
    to_tools(pipe, case, folder)
    from safetensors.torch import load_file

    old = load_file(folder / "model.safetensors")
    new = {k: v for k, v in old.items() if "model.model." not in k or "pretransform" in k}
    new = {k: v for k, v in new.items() if "seconds_start" not in k}
    new.update({"model.model." + k: v.contiguous() for k, v in dit.state_dict().items()})
    save_file(new, folder / "model.safetensors")
    config = tools_config(case)
    config["model"]["conditioning"]["configs"].pop(1)
    config["model"]["diffusion"] = dict(type="dit", diffusion_objective="rf_denoiser", config=FLOW)
    (folder / "model_config.json").write_text(json.dumps(config, indent=1) + "\n")
    dit.eval()
    return pipe, dit, lambda r, dtype, clip: flow_reference(pipe, dit, sampling, r, dtype, clip)


# ---- a case ------------------------------------------------------------------


def spread(refer, parts, r, clip):
    """The run in float64, and those in float32, each in another order."""
    exact = refer(r, torch.float64, clip)
    return exact, orders.in_orders(lambda: refer(r, torch.float32, clip), parts)


def compare(name, exact, runs, tensors, entry, run_name):
    entry[f"{name}_noise"] = orders.noise_of(name, exact, runs)
    tensors[f"{run_name}.{name}"] = exact[name].float().contiguous()


def make_model(name, folder):
    """The pipeline, the modules whose products may run in another order, and what makes a run."""
    case = CASES[name]
    if case.get("flow"):
        pipe, dit, refer = make_flow(case, folder)
    else:
        pipe = make_pipe(case, folder)
        dit = pipe.transformer
        pipe.set_progress_bar_config(disable=True)
        save_pipe(pipe, case, folder)
        if case.get("dtype"):  # what is compared are the weights as the files hold them
            pipe.to(case["dtype"]).to(torch.float32)
        if case.get("tools"):
            to_tools(pipe, case, folder)

        def refer(r, dtype, clip):
            if r.get("sampler", "").startswith("v-ddim"):
                return angle_reference(pipe, tools()[1], r, dtype, clip)
            return reference(pipe, r, dtype, clip)
    if case.get("tools") or case.get("flow"):
        for part in ("transformer", "vae", "projection_model", "scheduler"):
            shutil.rmtree(folder / part)
        (folder / "model_index.json").unlink()
    return pipe, (pipe.text_encoder, pipe.projection_model, dit, pipe.vae), refer


def make_inputs(case, pipe):
    """Draws NOISE, and returns a clip to begin with."""
    rand = torch.Generator().manual_seed(77)
    dit = pipe.transformer.config
    shape = (dit.in_channels, int(dit.sample_size))
    most = max(r["steps"] for r in case["runs"])
    NOISE["latents"] = torch.randn(shape, generator=rand)
    NOISE["steps"] = torch.randn((most, *shape), generator=rand)
    t = torch.arange(150) / pipe.vae.config.sampling_rate
    return torch.stack([0.4 * torch.sin(2 * math.pi * 330 * (c + 1) * t)
        for c in range(pipe.vae.config.audio_channels)])


def make_case(name):
    case = CASES[name]
    folder = FIXTURES / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    pipe, parts, refer = make_model(name, folder)
    clip = make_inputs(case, pipe)
    tensors = dict(noise_latents=NOISE["latents"], noise_steps=NOISE["steps"], clip=clip)
    manifest = dict(case=name, rate=pipe.vae.config.sampling_rate,
        channels=pipe.vae.config.audio_channels, runs=[])
    for r in case["runs"]:
        exact, runs = spread(refer, parts, r, clip)
        entry = dict(r)
        taps = ["wave"] + ["init"] * ("init" in r)
        if r.get("taps"):
            taps += ["t5", "condition", "velocity", "latents1", f"latents{r['steps']}"]
        for tap in taps:
            if tap in exact:
                compare(tap, exact, runs, tensors, entry, r["name"])
        peak = exact["wave"].abs().max().item()
        print(f"{name} {r['name']}: {list(exact['wave'].shape)} peak {peak:.3g} "
              f"noise {entry['wave_noise']:.2g}", flush=True)
        manifest["runs"].append(entry)
    EXPECTED.mkdir(exist_ok=True)
    save_file(tensors, EXPECTED / f"{name}.safetensors")
    (EXPECTED / f"{name}.json").write_text(json.dumps(manifest, indent=1) + "\n")


def print_spread():
    """How far off the wave of each run of `whole` is in float32, in each order."""
    with tempfile.TemporaryDirectory() as folder:
        pipe, parts, refer = make_model("whole", pathlib.Path(folder))
    clip = make_inputs(CASES["whole"], pipe)
    for r in CASES["whole"]["runs"]:
        each = sorted(orders.distances("wave", *spread(refer, parts, r, clip)))
        print(r["name"], *(f"{d:.2g}" for d in each), flush=True)


def main():
    torch.set_num_threads(1)
    if sys.argv[1:] == ["--spread"]:
        print_spread()
        return
    for name in sys.argv[1:] or CASES:
        make_case(name)


if __name__ == "__main__":
    main()
