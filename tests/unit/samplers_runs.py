#!/usr/bin/env python3
"""Prints what k-diffusion's samplers make of three numbers: the values in samplers.c.

    samplers_runs.py        (k-diffusion==0.1.1.post1, torch==2.5.1, scipy)

Double precision, from sigma 500, the estimate of samplers.c: after each step, and after
each trial that counts of the adaptive one, with stable-audio-tools' tolerances."""
import importlib.util
import math
import pathlib
import sys
import types

import torch

# The package's own start-up imports much that sampling.py does not use.
FOLDER = pathlib.Path(importlib.util.find_spec("k_diffusion").origin).parent
sys.modules["k_diffusion"] = types.ModuleType("k_diffusion")
sys.modules["k_diffusion"].__path__ = [str(FOLDER)]
sys.modules["k_diffusion.utils"] = types.ModuleType("k_diffusion.utils")
sys.modules["k_diffusion.utils"].append_dims = lambda s, n: s[(...,) + (None,) * (n - s.ndim)]
from k_diffusion import sampling  # noqa: E402

torch.set_default_dtype(torch.float64)
START = torch.tensor([[500.0, -250.0, 10.0]])


def estimate(x, sigma, **_):
    s = float(sigma[0])
    variance, t = s * s + 1, 2 / math.pi * math.atan(s)
    v = 0.25 * x / math.sqrt(variance) + 0.1 * t
    return x / variance - s / math.sqrt(variance) * v


def show(name, rows):
    print(f"{name} {len(rows)}")
    for row in rows:
        print("\t\t{" + ", ".join("%.10g" % v for v in row.flatten().tolist()) + "},")


def run(name, call):
    """Callbacks tell x as a step begins, but for the adaptive sampler, as it ends."""
    seen, steps = [], []

    def callback(info):
        seen.append(info["x"].clone())
        steps.append(info.get("n_accept"))

    last = call(callback)
    if steps[0] is None:
        return show(name, seen[1:] + [last])
    show(name, [x for i, x in enumerate(seen) if i == 0 or steps[i] > steps[i - 1]])
    print(f"trials {len(steps)}")


def main():
    sigmas = sampling.get_sigmas_polyexponential(6, 0.3, 500, 1.0)
    run("k-lms 6", lambda c: sampling.sample_lms(estimate, START, sigmas, callback=c, disable=True))
    for n in (6, 7, 8):
        run(f"k-dpm-fast {n}", lambda c: sampling.sample_dpm_fast(
            estimate, START, 0.3, 500.0, n, callback=c, disable=True))
    run("k-dpm-adaptive", lambda c: sampling.sample_dpm_adaptive(
        estimate, START, 0.3, 500.0, rtol=0.01, atol=0.01, callback=c, disable=True))


if __name__ == "__main__":
    main()
