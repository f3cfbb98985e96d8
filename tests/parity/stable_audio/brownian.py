#!/usr/bin/env python3
"""Prints the first draws of the noise that published.c makes: torchsde's Brownian tree with
torch's generator of a CUDA device, which is written out here.

    brownian.py             (torchsde==0.2.6, torch==2.5.1, numpy)
"""
import math

import numpy as np
import torch
import torchsde
from torchsde._brownian import brownian_interval

N = 64 * 1024


def philox(seed, n):
    """Philox4x32-10 (Salmon et al. 2011), key `seed`, counters (0, 0, i, 0): two words each."""
    c = [np.zeros(n, np.uint64), np.zeros(n, np.uint64), np.arange(n, dtype=np.uint64), np.zeros(n, np.uint64)]
    k0, k1, mask = seed & 0xFFFFFFFF, seed >> 32, np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [(b >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), b & mask,
             (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), a & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c[0], c[1]


def randn(seed, n):
    """curand's Box-Muller, the sine of it; one thread an element."""
    x, y = philox(seed, n)
    u = x.astype(np.float64) * 2.0**-32 + 2.0**-33
    v = (y.astype(np.float64) * 2.0**-32 + 2.0**-33) * 2 * math.pi
    return np.sqrt(-2 * np.log(u)) * np.sin(v)


def main():
    print("randn(0):", ", ".join("%.4f" % v for v in randn(0, 6)))
    brownian_interval._randn = lambda size, dtype, device, seed: torch.tensor(randn(int(seed), N), dtype=dtype).reshape(size)
    steps = 25
    sigmas = torch.linspace(math.log(0.3), math.log(500), steps).exp().flip(0).tolist() + [0.0]
    print("sigmas:", ", ".join("%.9g" % s for s in sigmas))
    tree = torchsde.BrownianInterval(
        t0=torch.tensor(0.3), t1=torch.tensor(500.0), size=(1, 64, 1024), dtype=torch.float32,
        device=torch.device("cpu"), entropy=0, tol=1e-6, pool_size=24, halfway_tree=True)
    for i in (0, 1, 12, 23):
        a, b = sigmas[i], sigmas[i + 1]
        z = -tree(torch.tensor(b), torch.tensor(a)) / math.sqrt(a - b)
        print("step", i + 1, ", ".join("%.5f" % v for v in z.flatten()[[0, 1, 1024, N - 1]].tolist()), "mean square %.4f" % float((z * z).mean()))


if __name__ == "__main__":
    main()
