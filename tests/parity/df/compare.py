#!/usr/bin/env python3
"""Compares the denoiser with ONNX Runtime on any sound files.

    compare.py FOLDER PROGRAM WEIGHTS FILE...

FOLDER holds the ONNX files, PROGRAM is test-df-run, WEIGHTS the folder of
model.safetensors; files are WAV at any rate, 16-bit or float (the samples are
taken as 48 kHz).  Prints SI-SDR in dB, aligned to the sample, with all channels
linked, and what the output's level is to the input's.  Ends with 1 when a file
is below 60 dB.
"""

import argparse
import pathlib
import struct
import subprocess
import sys

import numpy

import reference


def read_wav(path):
    """[channels, n]"""
    data = path.read_bytes()
    chunks, at = {}, 12
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        chunks[data[at : at + 4]] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    channels, bits = struct.unpack_from("<2xH10xH", chunks[b"fmt "])
    x = numpy.frombuffer(chunks[b"data"], "<f4" if bits == 32 else "<i2")
    x = x if bits == 32 else x / 32768
    return x.reshape(-1, channels).T.astype(numpy.float32)


def main():
    parser = argparse.ArgumentParser()
    for name in ("folder", "program", "weights"):
        parser.add_argument(name, type=pathlib.Path)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    args = parser.parse_args()
    net = reference.Network(args.folder)
    worst = numpy.inf
    for path in args.files:
        x = read_wav(path)
        command = [args.program, args.weights, str(len(x)), "100", "0"]
        raw = subprocess.run(command, input=x.T.tobytes(), stdout=subprocess.PIPE, check=True)
        y = numpy.frombuffer(raw.stdout, "<f4").reshape(-1, len(x)).T
        want = reference.enhance(net, x)[0]
        near = reference.si_sdr(y, want)
        level = 10 * numpy.log10(numpy.sum(want**2) / numpy.sum(x.astype(float) ** 2))
        print(f"{near:6.1f} dB  level {level:6.1f} dB  {path}")
        worst = min(worst, near)
    sys.exit(worst < 60)


if __name__ == "__main__":
    main()
