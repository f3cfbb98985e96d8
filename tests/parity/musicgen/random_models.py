#!/usr/bin/env python3
"""Random small models against transformers, through the command line.

    random_models.py WOODSHED [--count N] [--seed N]

For each of N drawn configurations: makes a checkpoint with random weights,
renders with transformers and with `WOODSHED render --greedy --precision f32`,
and compares the samples.  Needs the environment of make_fixtures.py; run by
hand, and before the model's code is said to be done.  Exit status 1 when any
differ.
"""

import argparse
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

import numpy
import torch

import make_fixtures as fixtures


def draw(r):
    """A case as in make_fixtures.CASES."""
    heads, per_head = r.choice([1, 2, 3, 4, 6]), r.choice([2, 4, 8, 10, 16, 32])
    channels = r.choice([1, 1, 2])
    books = r.choice([1, 2, 4, 4, 4, 5])
    ratios = r.choice([[8, 5, 4, 4], [8, 5, 4], [5, 4], [7, 3], [4, 4, 2], [9, 2, 2], [10, 8], [16]])
    rate = r.choice([4000, 8000, 16000, 24000, 32000, 44100])
    width = r.choice([8, 16, 20, 24, 33, 48])
    hop = 1
    for ratio in ratios:
        hop *= ratio
    size = 2 ** r.randint(5, 8)
    frame_rate = -(-rate // hop)
    text = dict(d_model=r.choice([12, 16, 24, 31]), d_ff=r.choice([16, 40, 51]),
                num_layers=r.randint(1, 4), num_heads=r.choice([1, 2, 3, 4]),
                d_kv=r.choice([4, 7, 8, 16]), feed_forward_proj=r.choice(["relu", "relu", "gelu"]),
                relative_attention_num_buckets=r.choice([8, 32, 16]),
                relative_attention_max_distance=r.choice([64, 128, 20]))
    codec = dict(
        sampling_rate=rate, upsampling_ratios=ratios, num_filters=r.choice([2, 3, 4, 8]),
        hidden_size=width, codebook_dim=width, codebook_size=size,
        # transformers takes ten bits for every codebook when it counts them
        target_bandwidths=[books * frame_rate * 10 / 1000 + 0.001], num_lstm_layers=r.randint(1, 3),
        use_causal_conv=r.random() < 0.2, use_conv_shortcut=r.random() < 0.3,
        num_residual_layers=r.choice([1, 1, 2, 3]), dilation_growth_rate=r.choice([1, 2, 3]),
        residual_kernel_size=r.choice([1, 3, 3, 5]), kernel_size=r.choice([3, 7, 7, 5]),
        last_kernel_size=r.choice([3, 7, 7]), compress=r.choice([1, 2, 2]),
        pad_mode=r.choice(["reflect", "reflect", "constant"]))
    if codec["use_causal_conv"]:
        codec["trim_right_ratio"] = r.choice([1.0, 1.0, 0.5])
    lm = dict(
        hidden_size=2 * heads * per_head, num_attention_heads=heads,
        num_hidden_layers=r.randint(1, 4), ffn_dim=r.choice([16, 64, 100, 129]),
        vocab_size=r.choice([size, size, size - 5]), max_position_embeddings=400,
        num_codebooks=books * channels, audio_channels=channels,
        activation_function=r.choice(["gelu", "gelu", "relu"]))
    case = dict(text=text, codec=codec, lm=lm, rule=r.choice(["nmt_nfkc", "identity", "own"]))
    if r.random() < 0.3:
        case["file"] = "bin"
    if r.random() < 0.3:
        case["shards"] = "60KB"
    if r.random() < 0.2:
        case["dtype"] = r.choice([torch.float16, torch.bfloat16])
    if r.random() < 0.2:
        case["tokenizer"] = "json"
    if r.random() < 0.4:
        case["clip"] = r.uniform(1, 8)
    frames = r.choice([5, 20, 60, 150])
    seconds = f"{frames * hop / rate:.4f}"
    prompt = r.choice([fixtures.PROMPT, fixtures.OTHER, fixtures.UNKNOWN, "x", "Ünïcode №5 ﬁ", ""])
    more = {"clip": "clip"} if "clip" in case and frames > 10 else {}
    case["runs"] = [fixtures.run("run", seconds, prompt, r.choice([3.0, 1.0, 2.0, 7.5]), **more)]
    return case


def read_wav(path):
    """The samples of a 32-bit float file, [channels, frames]."""
    data = pathlib.Path(path).read_bytes()
    chunks, at = {}, 12
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        chunks[data[at:at + 4]] = data[at + 8:at + 8 + size]
        at += 8 + size + size % 2
    channels = struct.unpack_from("<H", chunks[b"fmt "], 2)[0]
    return numpy.frombuffer(chunks[b"data"], "<f4").reshape(-1, channels).T


def write_wav(path, samples, rate):
    channels = samples.shape[0]
    body = samples.T.contiguous().numpy().astype("<f4").tobytes()
    head = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + 8 + len(head) + 8 + len(body)) + b"WAVEfmt "
                     + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", len(body)) + body)


def one(woodshed, number, r):
    case = draw(r)
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp) / "model"
        folder.mkdir()
        try:
            with torch.no_grad():
                fixtures.save(case, fixtures.make_model(case, folder, number), folder)
            manifest, tensors = fixtures.expect("random", case, folder, number)
        except fixtures.Rejected as why:
            return None, f"nothing to compare: {why}"
        except (AssertionError, IndexError, RuntimeError, ValueError) as why:
            return None, f"transformers: {str(why)[:80]}"
        run = case["runs"][0]
        out = pathlib.Path(tmp) / "out.wav"
        command = [woodshed, "render", "-m", folder, "-s", run["seconds"], "--greedy",
                   "--precision", "f32", "--cfg", str(run["guidance"]), "-o", out]
        if "clip" in run:
            clip = pathlib.Path(tmp) / "clip.wav"
            write_wav(clip, tensors["clip"], manifest["rate"])
            command += ["--continue", clip]
        done = subprocess.run(command + ["--", run["prompt"]], capture_output=True, text=True)
        if done.returncode:
            return False, done.stderr.strip()
        got, want = read_wav(out), tensors["run.wave"].numpy()
        if got.shape != want.shape:
            return False, f"shape {got.shape}, not {want.shape}"
        off, noise = abs(got - want).max(), manifest["runs"][0]["wave_noise"]
        peak = abs(want).max()
        return off <= 4 * noise + peak * 2 ** -21, (
            f"{want.shape[1]} samples, off by {off:.1e}, noise {noise:.1e}, peak {peak:.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("woodshed")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    fixtures.logging.set_verbosity_error()
    fixtures.logging.disable_progress_bar()
    failed = compared = 0
    for number in range(args.seed, args.seed + args.count):
        ok, words = one(args.woodshed, number, random.Random(number))
        compared += ok is not None
        failed += ok is False
        print({True: "ok", False: "NOT OK", None: "--"}[ok], number, words, flush=True)
    print(f"{compared} compared, {failed} failed")
    return 1 if failed or not compared else 0


if __name__ == "__main__":
    sys.exit(main())
