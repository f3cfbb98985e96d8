"""Music without noise, and noises, for the benchmark of the denoisers.

The music is that of engine/starter/train, synthesised at any rate; pieces whose
sound has noise of its own (tape, vinyl) are left out.
"""
import importlib
import pathlib
import sys

import numpy as np
from scipy import signal

TRAIN = pathlib.Path(__file__).resolve().parents[3] / "engine/starter/train"
NOISES = ("white", "pink", "hiss", "hum", "generated")


def modules(rate):
    """The synthesiser at a rate: its modules hold it as a constant."""
    sys.path.insert(0, str(TRAIN))
    try:
        import instruments

        importlib.reload(instruments)
        source = (TRAIN / "instruments.py").read_text().replace("RATE = 32000", f"RATE = {rate}")
        exec(compile(source, "instruments.py", "exec"), instruments.__dict__)
        import pieces

        return importlib.reload(pieces)
    finally:
        sys.path.pop(0)


def music(number, rate, seconds=8.0):
    """Piece `number` of those without noise: float64 [frames, channels], every second
    one in stereo."""
    if rate < 32000:  # the synthesiser's filters need more
        return signal.resample_poly(music(number, 2 * rate, seconds), 1, 2, axis=0)
    pieces = modules(rate)
    seed = 5_000_000 + 1000 * number
    while pieces.plan(seed).colour in ("tape", "vinyl"):
        seed += 1
    x, parts = pieces.play(pieces.plan(seed), seconds, stems=True)
    x = x.astype(np.float64)
    if number % 2:
        side = sum((-1) ** i * p for i, p in enumerate(parts.values()))
        side = side * 0.3 * np.sqrt(np.mean(x**2) / (np.mean(side**2) + 1e-12))
        return np.stack([x + side, x - side], 1) * 0.7
    return x[:, None]


def noise(kind, shape, rate, like, rng):
    """Of unit power."""
    n, channels = shape
    w = rng.standard_normal((n, channels))
    f = np.fft.rfftfreq(n, 1 / rate)
    if kind == "white":
        y = w
    elif kind == "pink":
        y = np.fft.irfft(np.fft.rfft(w, axis=0) / np.sqrt(np.maximum(f, 20))[:, None], n, axis=0)
    elif kind == "hiss":
        y = signal.lfilter([1, -0.9], [1], w, axis=0)
    elif kind == "hum":
        t = np.arange(n) / rate
        y = 0.03 * w
        base = rng.choice([50, 60]) * (1 + 0.0004 * rng.standard_normal())
        for h in range(1, 13):
            a = 1 / h * (1 if h % 2 else 0.5)
            y += a * np.sin(2 * np.pi * base * h * t + rng.uniform(0, 6.28))[:, None]
    else:
        # What is left by a model that reconstructs spectra: noise with the shape of
        # the music itself, whose level wanders by a few dB.
        _, p = signal.welch(like.mean(1), rate, nperseg=512)
        shape_of = np.sqrt(np.interp(f, np.linspace(0, rate / 2, len(p)), p))
        y = np.fft.irfft(np.fft.rfft(w, axis=0) * (shape_of + 0.1 * shape_of.max())[:, None], n, axis=0)
        wander = np.interp(np.arange(n), rate * np.arange(n // rate + 2), rng.uniform(-2, 2, n // rate + 2))
        y *= 10 ** (wander / 20)[:, None]
    return y / np.sqrt(np.mean(y**2))


def si_sdr(clean, x):
    """dB; J. Le Roux et al., arXiv 1811.02508."""
    c, y = clean.ravel(), x.ravel()
    target = c * (c @ y) / (c @ c)
    return 10 * np.log10((target @ target) / max((y - target) @ (y - target), 1e-30))


def lsd(clean, x, floor_db=-60):
    """Log-spectral distance in dB: root mean square over bins, mean over frames.  Cells
    are not taken below `floor_db` of the clean signal's mean power."""
    def power(v):
        return np.abs(signal.stft(v, nperseg=1024, noverlap=768, axis=0)[2]) ** 2

    c, y = power(clean), power(x)
    floor = c.mean() * 10 ** (floor_db / 10)
    d = 10 * np.log10((c + floor) / (y + floor))
    return float(np.mean(np.sqrt(np.mean(d**2, axis=0))))


def kurtosis(x, rate):
    """Of the power spectrum's cells over time: high means musical noise."""
    p = np.abs(signal.stft(x[:, 0], rate, nperseg=1024, noverlap=512)[2]) ** 2
    m = p.mean(1, keepdims=True)
    return float(np.median(((p - m) ** 4).mean(1) / ((p - m) ** 2).mean(1) ** 2))
