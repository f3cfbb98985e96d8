#!/usr/bin/env python3
"""Makes expected.safetensors: what ONNX Runtime makes of DeepFilterNet 3.

    make_fixtures.py FOLDER     enc.onnx, erb_dec.onnx and df_dec.onnx lie there

Versions are pinned in requirements.txt.  The file holds inputs and outputs of
the network alone, and of whole signals, which are synthesised here: samples of
16 bits in, float32 out.  Lengths are no multiples of a hop.
"""

import argparse
import pathlib

import numpy
import safetensors.numpy

import reference

HERE = pathlib.Path(__file__).resolve().parent
RATE = 48000


def lcg(n, state):
    """Uniform in [-1, 1)"""
    out = numpy.zeros(n)
    for i in range(n):
        state = (1664525 * state + 1013904223) % 2**32
        out[i] = 2 * state / 2**32 - 1
    return out


def network(net):
    n = 16
    erb, spec = lcg(n * 32, 7).reshape(n, 32), 1.5 * lcg(n * 192, 11).reshape(2, n, 96)
    out = net(erb, spec)
    return {
        "net.erb": erb,
        "net.spec": spec.transpose(1, 0, 2),
        "net.gains": out["m"][0],
        "net.coefs": out["coefs"],
        "net.snr": out["lsnr"][:, 0],
    }


def voice(n):
    """Vowels of 130 Hz with three formants, twelve a second, and noise."""
    t = numpy.arange(n) / RATE
    x = numpy.zeros(n)
    for k in range(1, 30):
        f = 130 * k
        gain = sum(numpy.exp(-(((f - c) / 120) ** 2)) for c in (600, 1200, 2500)) + 0.05
        x += gain * numpy.sin(2 * numpy.pi * f * (t + 0.002 * numpy.sin(5 * t)))
    return 0.06 * x * numpy.sin(numpy.pi * 12 * t) ** 2 + 0.02 * lcg(n, 3)


def music(n):
    """A chord that dies away, and hiss."""
    t = numpy.arange(n) / RATE
    x = sum(numpy.sin(2 * numpy.pi * f * t) * numpy.exp(-3 * t) for f in (220, 277, 330, 440, 880))
    return 0.1 * x + 0.01 * lcg(n, 5)


def stereo(n):
    """The voice to the left, the chord to the right, noise of its own on each."""
    a, b = voice(n), music(n)
    return numpy.stack([a + 0.3 * b, 0.2 * a + b + 0.02 * lcg(n, 9)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    net = reference.Network(parser.parse_args().folder)
    out = network(net)
    cases = {
        "voice": (voice(14411), None),
        "limited": (voice(14411), 12),
        "music": (music(14400), None),
        "stereo": (stereo(9601), None),
    }
    for name, (signal, limit) in cases.items():
        pcm = numpy.round(signal * 32767).astype(numpy.int16)
        made = reference.enhance(net, pcm / 32768, limit=limit)[0]
        if name != "limited":
            out[name + ".in"] = pcm.T
        out[name + ".out"] = made.T
    is_pcm = lambda name: name.endswith(".in")
    out = {k: v if is_pcm(k) else v.astype(numpy.float32) for k, v in out.items()}
    out = {k: numpy.ascontiguousarray(v) for k, v in out.items()}
    safetensors.numpy.save_file(out, HERE / "expected.safetensors")


if __name__ == "__main__":
    main()
