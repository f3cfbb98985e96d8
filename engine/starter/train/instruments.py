"""Instruments and effects: notes in, sound out, at RATE, in numpy.

Every instrument is a function (rng, freq, seconds, velocity) -> float32 mono;
the sound may ring on after `seconds`.  Nothing aliases: tones are sums of
partials below RATE / 2, or strings and noise.

Pieces take them through note() and hit(), which are a sampler: a note of an
instrument always sounds the same, to the sample, and begins with a frame of the
codec.  So it has the same codes wherever it is played, and a small model can
learn them; chance in the phases would be most of what it had to learn.
"""

import functools
import math
import zlib

import numpy as np
from scipy import signal

RATE = 32000
TOP = 0.45 * RATE  # no partial above
CONTROL = 32  # samples between two settings of a moving filter
FRAME_RATE = 50  # of the codec: where notes begin and end
LEVELS = (0.6, 0.8, 1.0)  # how hard a note is struck
LENGTHS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 19, 22, 26, 30, 36, 42, 50, 60, 72, 86, 100, 120, 145, 175, 210)  # frames


def seconds(n):
    return int(round(n * RATE))


def ramp(n):
    return np.arange(n, dtype=np.float32) / RATE


def envelope(n, attack, release, held, curve=4.0):
    """Attack, hold until `held` seconds, exponential release; n samples."""
    t = ramp(n)
    e = np.minimum(1, t / max(attack, 1e-4))
    after = np.maximum(0, t - max(held, attack))
    return (e * np.exp(-curve * after / max(release, 1e-3))).astype(np.float32)


def partials(freq, n, amplitudes, phase=0.0, vibrato=None):
    """Sum of harmonics; amplitudes[k] is a number or an array over time."""
    t = ramp(n)
    angle = 2 * np.pi * freq * t
    if vibrato:
        rate, depth, delay = vibrato
        fade = np.clip((t - delay) * 4, 0, 1)
        angle = angle + depth * freq / rate * fade * np.sin(2 * np.pi * rate * t + phase)
    out = np.zeros(n, np.float32)
    for k, a in enumerate(amplitudes, 1):
        if freq * k > TOP:
            break
        if np.ndim(a) or a:
            out += a * np.sin(k * angle + phase * k).astype(np.float32)
    return out


def lowpass_gain(freq, cutoff, q=0.7):
    """Magnitude of a second-order low pass."""
    r = np.maximum(freq, 1.0) / cutoff
    return 1 / np.sqrt((1 - r * r) ** 2 + (r / q) ** 2)


def smooth(level, n):
    """n samples along straight lines between settings CONTROL samples apart."""
    part = np.arange(CONTROL, dtype=np.float32) / CONTROL
    return (level[:-1, None] + np.diff(level)[:, None] * part).astype(np.float32).reshape(-1)[:n]


def saw_through(freq, n, cutoff, q=0.7, most=40, square=False, phase=0.0):
    """A saw (or square) through a filter whose cutoff may move: harmonic by harmonic,
    each one's level worked out every CONTROL samples."""
    moving = isinstance(cutoff, np.ndarray)
    if moving:
        cutoff = cutoff[np.minimum(np.arange(0, n + 2 * CONTROL, CONTROL), n - 1)]
    amplitudes = []
    for k in range(1, most + 1):
        if square and k % 2 == 0 or freq * k > TOP:
            amplitudes.append(0.0)
        else:
            level = lowpass_gain(freq * k, cutoff, q) / k
            amplitudes.append(smooth(level, n) if moving else level)
    return partials(freq, n, amplitudes, phase)


def string(rng, freq, n, damping, bright, pick=0.2):
    """Karplus-Strong, a period at a time: low-passed noise that goes round."""
    period = RATE / freq
    size = max(2, int(round(period)))
    x = rng.standard_normal(size).astype(np.float32)
    x = signal.lfilter([1 - bright], [1, -bright], np.tile(x, 3))[-size:].astype(np.float32)
    x -= np.roll(x, int(pick * size))
    x /= np.abs(x).max() + 1e-6
    rounds = n // size + 2
    out = np.empty((rounds, size), np.float32)
    out[0] = x
    for before, after in zip(out, out[1:]):
        np.add(before[1:], before[:-1], out=after[1:])
        after[0] = before[0] + before[-1]
        after *= 0.5 * damping
    flat = out.reshape(-1)
    # The loop is `size` samples and half of one long: tune by resampling.
    at = np.arange(n, dtype=np.float64) * (size + 0.5) / period
    at = at[at < len(flat) - 1]
    y = np.interp(at, np.arange(len(flat)), flat).astype(np.float32)
    return np.pad(y, (0, n - len(y)))


# ---- tuned instruments -------------------------------------------------------


def acoustic_guitar(rng, freq, held, vel):
    n = seconds(held + 0.8)
    y = string(rng, freq, n, 0.996, 0.35 - 0.25 * vel, 0.13)
    body = signal.lfilter([0.25, 0, -0.25], [1, -1.96, 0.97], y)
    return (y + 0.15 * body.astype(np.float32)) * envelope(n, 0.001, 0.35, held) * vel


def nylon_guitar(rng, freq, held, vel):
    n = seconds(held + 0.8)
    return string(rng, freq, n, 0.993, 0.75, 0.3) * envelope(n, 0.002, 0.4, held) * 1.2 * vel


def harp(rng, freq, held, vel):
    n = seconds(held + 1.4)
    return string(rng, freq, n, 0.997, 0.6, 0.5) * envelope(n, 0.001, 1.0, held) * vel


def distorted_guitar(rng, freq, held, vel):
    n = seconds(held + 0.15)
    y = sum(string(rng, freq * r, n, 0.999, 0.15) * g for r, g in ((1, 1), (1.4983, 0.8), (2, 0.5)))
    y = np.tanh(6 * y)
    b, a = signal.butter(2, [90, 4200], "band", fs=RATE)
    return (signal.lfilter(b, a, y) * envelope(n, 0.002, 0.1, held)).astype(np.float32) * 0.5 * vel


def piano(rng, freq, held, vel):
    n = seconds(held + 0.7)
    t = ramp(n)
    stretch = 0.0004 * (freq / 440) ** 1.2
    out = np.zeros(n, np.float32)
    for k in range(1, 14):
        f = freq * k * math.sqrt(1 + stretch * k * k)
        if f > TOP:
            break
        level = (0.9 - 0.35 * (1 - vel)) ** (k - 1) / k ** 0.9
        decay = (0.35 + 0.25 * k) * (freq / 261) ** 0.5
        beat = 1 + 0.0006 * (rng.random() - 0.5)
        out += (level * np.exp(-decay * t) * (np.sin(2 * np.pi * f * t) + 0.6 * np.sin(2 * np.pi * f * beat * t + k)))
    knock = rng.standard_normal(n).astype(np.float32) * np.exp(-t * 90) * 0.05
    return (0.5 * out + knock) * envelope(n, 0.002, 0.25, held) * vel


def electric_piano(rng, freq, held, vel):
    n = seconds(held + 0.6)
    t = ramp(n)
    tine = np.exp(-t * 9) * (0.4 + 1.6 * vel) * np.sin(2 * np.pi * 14 * freq * t) * (freq * 14 < 0.4 * RATE)
    body = (0.3 + 1.1 * vel) * np.exp(-t * 1.8) * np.sin(2 * np.pi * freq * t)
    y = np.sin(2 * np.pi * freq * t + body) + 0.35 * np.sin(2 * np.pi * freq * t + 0.5 * tine)
    tremolo = 1 + 0.15 * np.sin(2 * np.pi * 4.7 * t)
    return (0.55 * y * tremolo * np.exp(-1.1 * t) * envelope(n, 0.003, 0.25, held)).astype(np.float32) * vel


def organ(rng, freq, held, vel):
    n = seconds(held + 0.06)
    bars = [(0.5, 0.7), (1, 1), (1.5, 0.5), (2, 0.7), (3, 0.35), (4, 0.4), (6, 0.15), (8, 0.2)]
    t = ramp(n)
    wobble = 1 + 0.0018 * np.sin(2 * np.pi * 6.2 * t)
    y = sum(g * np.sin(2 * np.pi * freq * r * t * wobble + r) for r, g in bars if freq * r < TOP)
    return (0.28 * y * envelope(n, 0.006, 0.04, held)).astype(np.float32) * vel


def synth_pad(rng, freq, held, vel):
    n = seconds(held + 0.9)
    t = ramp(n)
    cutoff = (600 + 1400 * vel * (0.5 - 0.5 * np.cos(2 * np.pi * t / (held + 1.5)))).astype(np.float32)
    y = sum(saw_through(freq * d, n, cutoff, most=16, phase=p)
            for d, p in ((0.995, rng.random() * 6), (1.0, rng.random() * 6), (1.006, rng.random() * 6)))
    return 0.28 * y * envelope(n, 0.45, 0.6, held) * vel


def string_section(rng, freq, held, vel):
    n = seconds(held + 0.6)
    y = sum(partials(freq * d, n, [lowpass_gain(freq * k, 2600) / k for k in range(1, 18)], rng.random() * 6,
                     (5.2 + rng.random(), 0.006, 0.3)) for d in (0.997, 1.0, 1.004))
    return 0.3 * y * envelope(n, 0.16, 0.4, held) * vel


def choir(rng, freq, held, vel):
    n = seconds(held + 0.6)
    formants = [((700, 1100, 2450), (1, 0.5, 0.2)), ((400, 800, 2600), (1, 0.4, 0.12)),
                ((350, 2000, 2800), (1, 0.25, 0.2))][int(rng.integers(3))]

    def gain(f):
        return sum(g / (1 + ((f - c) / (90 + 0.06 * c)) ** 2) for c, g in zip(*formants)) + 0.02

    amplitudes = [gain(freq * k) / k ** 0.6 for k in range(1, 30)]
    y = sum(partials(freq * d, n, amplitudes, rng.random() * 6, (5 + rng.random(), 0.008, 0.2))
            for d in (0.996, 1.0, 1.005))
    breath = signal.lfilter([0.1], [1, -0.9], rng.standard_normal(n)).astype(np.float32) * 0.02
    return (0.5 * y + breath) * envelope(n, 0.25, 0.45, held) * vel


def flute(rng, freq, held, vel):
    n = seconds(held + 0.15)
    y = partials(freq, n, [1, 0.35 * vel, 0.12, 0.06], 0, (5.3, 0.006, 0.25))
    b, a = signal.butter(2, [min(freq * 0.9, 9000), min(freq * 3, 12000)], "band", fs=RATE)
    breath = signal.lfilter(b, a, rng.standard_normal(n)).astype(np.float32) * 0.12
    return (0.6 * y + breath) * envelope(n, 0.06, 0.1, held) * vel


def brass(rng, freq, held, vel):
    n = seconds(held + 0.12)
    t = ramp(n)
    cutoff = (500 + (1200 + 2600 * vel) * np.minimum(1, t / 0.09) * np.exp(-0.4 * t)).astype(np.float32)
    y = saw_through(freq, n, cutoff, 0.9, 24) + saw_through(freq * 1.003, n, cutoff, 0.9, 24, phase=2.0)
    return 0.42 * y * envelope(n, 0.04, 0.09, held) * vel


def bell(rng, freq, held, vel):
    n = seconds(2.2)
    t = ramp(n)
    modes = [(0.5, 0.4, 0.8), (1, 1, 1.2), (1.19, 0.5, 1.6), (1.56, 0.4, 2.2), (2, 0.5, 2.0), (2.51, 0.3, 3),
             (3.01, 0.25, 3.5), (4.2, 0.15, 5)]
    y = sum(g * np.exp(-d * t) * np.sin(2 * np.pi * freq * r * t) for r, g, d in modes if freq * r < TOP)
    return (0.35 * y).astype(np.float32) * vel


def marimba(rng, freq, held, vel):
    n = seconds(0.8)
    t = ramp(n)
    y = sum(g * np.exp(-d * t) * np.sin(2 * np.pi * freq * r * t)
            for r, g, d in ((1, 1, 6), (3.93, 0.35, 18), (9.2, 0.12, 40)) if freq * r < TOP)
    return (0.8 * y).astype(np.float32) * vel


def saw_lead(rng, freq, held, vel):
    n = seconds(held + 0.1)
    t = ramp(n)
    cutoff = (900 + 3500 * vel * np.exp(-2.5 * t)).astype(np.float32)
    y = sum(saw_through(freq * d, n, cutoff, 1.1, 28, phase=p) for d, p in ((0.996, 0), (1.004, 1.3)))
    return 0.4 * y * envelope(n, 0.006, 0.09, held) * vel


def chip_lead(rng, freq, held, vel):
    n = seconds(held)
    duty = (0.125, 0.25, 0.5)[int(rng.integers(3))]
    amplitudes = [math.sin(math.pi * k * duty) / k for k in range(1, 36)]
    y = partials(freq, n, amplitudes, 0, (6, 0.005, 0.2))
    return 0.45 * y * envelope(n, 0.002, 0.01, held - 0.01) * vel


# ---- basses ------------------------------------------------------------------


def sub_bass(rng, freq, held, vel):
    n = seconds(held + 0.08)
    y = np.tanh(1.6 * partials(freq, n, [1, 0.22, 0.06]))
    return 0.8 * y * envelope(n, 0.008, 0.06, held) * vel


def picked_bass(rng, freq, held, vel):
    n = seconds(held + 0.15)
    y = string(rng, freq, n, 0.998, 0.55, 0.1) + 0.5 * partials(freq, n, [1, 0.3])
    return 0.8 * y * envelope(n, 0.003, 0.08, held) * vel


def upright_bass(rng, freq, held, vel):
    n = seconds(held + 0.25)
    y = string(rng, freq, n, 0.995, 0.85, 0.35) + 0.7 * partials(freq, n, [1, 0.4, 0.15]) * envelope(n, 0.012, 0.6, 0)
    return 0.9 * y * envelope(n, 0.006, 0.15, held) * vel


def acid_bass(rng, freq, held, vel):
    n = seconds(held + 0.03)
    cutoff = (220 + 2600 * vel * np.exp(-ramp(n) * 11)).astype(np.float32)
    y = saw_through(freq, n, cutoff, 5.0, 48)
    return 0.4 * np.tanh(1.5 * y) * envelope(n, 0.003, 0.02, held)


def synth_bass(rng, freq, held, vel):
    n = seconds(held + 0.05)
    cutoff = (250 + 1500 * vel * np.exp(-ramp(n) * 5)).astype(np.float32)
    y = saw_through(freq, n, cutoff, 1.2, 30) + saw_through(freq * 1.005, n, cutoff, 1.2, 30, True, 1.0)
    return 0.5 * y * envelope(n, 0.004, 0.05, held) * vel


# ---- drums -------------------------------------------------------------------


def band(rng, n, low, high):
    b, a = signal.butter(2, [low, min(high, 0.48 * RATE)], "band", fs=RATE)
    return signal.lfilter(b, a, rng.standard_normal(n)).astype(np.float32)


def sweep(n, start, end, speed):
    t = ramp(n)
    return np.sin(2 * np.pi * (end * t + (start - end) / speed * (1 - np.exp(-speed * t)))).astype(np.float32)


def kick(rng, kind):
    n = seconds(0.4)
    t = ramp(n)
    start, end, decay, click = {"house": (180, 48, 8, 0.4), "techno": (260, 44, 7, 0.7), "soft": (110, 52, 11, 0.1),
                                "rock": (140, 62, 14, 0.8), "chip": (400, 60, 14, 0)}[kind]
    return np.tanh(1.7 * sweep(n, start, end, 34) * np.exp(-t * decay)) + click * band(rng, n, 1500, 7000) * np.exp(-t * 160)


def snare(rng, kind):
    n = seconds(0.3)
    t = ramp(n)
    tone, decay = {"house": (190, 20), "techno": (210, 24), "soft": (170, 26), "rock": (200, 14), "chip": (0, 18)}[kind]
    noise = band(rng, n, 1200, 11000) * np.exp(-t * decay)
    return 0.55 * noise * 2.2 + 0.5 * np.sin(2 * np.pi * tone * t) * np.exp(-t * 28)


def rim(rng):
    n = seconds(0.08)
    return (np.sin(2 * np.pi * 1750 * ramp(n)) * 0.5 + 0.4 * band(rng, n, 2500, 8000)) * np.exp(-ramp(n) * 110)


def clap(rng):
    n = seconds(0.3)
    t = ramp(n)
    e = sum(np.where(t >= d, np.exp(-(t - d) * 130), 0) for d in (0, 0.011, 0.022)) + 0.6 * np.exp(-t * 17)
    return band(rng, n, 900, 5500) * e.astype(np.float32) * 1.2


def hat(rng, opened):
    n = seconds(0.42 if opened else 0.09)
    t = ramp(n)
    metal = sum(np.sign(np.sin(2 * np.pi * f * t)) for f in (4230, 5410, 6840, 7450)) * 0.08
    y = band(rng, n, 6500, 15000) + signal.lfilter(*signal.butter(2, 6500, "high", fs=RATE), metal)
    return (y * np.exp(-t * (9 if opened else 58))).astype(np.float32)


def brush(rng, accent):
    n = seconds(0.26)
    t = ramp(n)
    swell = np.exp(-((t - 0.07) / 0.06) ** 2) * 0.6 + (np.exp(-t * 30) if accent else 0)
    return band(rng, n, 1500, 9000) * swell.astype(np.float32) * 0.8


def tom(rng, freq):
    n = seconds(0.45)
    return sweep(n, freq * 1.5, freq, 20) * np.exp(-ramp(n) * 8) + 0.1 * band(rng, n, 300, 3000) * np.exp(-ramp(n) * 50)


def cymbal(rng, ride):
    n = seconds(0.7 if ride else 1.8)
    t = ramp(n)
    y = band(rng, n, 3800, 15000) * np.exp(-t * (6 if ride else 2.2))
    if ride:
        y = 0.5 * y + 0.25 * sum(np.sin(2 * np.pi * f * t) for f in (3110, 4273, 5630)) * np.exp(-t * 9)
    return y.astype(np.float32)


def shaker(rng):
    n = seconds(0.11)
    t = ramp(n)
    return band(rng, n, 4500, 13000) * np.exp(-((t - 0.03) / 0.025) ** 2).astype(np.float32)


# ---- the sampler -------------------------------------------------------------


def chance(*words):
    return np.random.default_rng([zlib.crc32(str(w).encode()) for w in words])


def held_frames(held):
    """Seconds to the nearest of LENGTHS, so that notes come again."""
    return min(LENGTHS, key=lambda n: abs(n - held * FRAME_RATE))


@functools.lru_cache(maxsize=20000)
def note(name, midi, frames, level):
    """level: of LEVELS; frames: how long it is held."""
    freq = 440.0 * 2 ** ((midi - 69) / 12)
    return globals()[name](chance(name, midi), freq, frames / FRAME_RATE, LEVELS[level]).astype(np.float32)


@functools.lru_cache(maxsize=None)
def hit(name, kit, take):
    """One of a few recordings of a drum."""
    rng = chance(name, kit, take)
    make = {"kick": lambda: kick(rng, kit), "snare": lambda: snare(rng, kit), "clap": lambda: clap(rng),
            "hat": lambda: hat(rng, False), "open": lambda: hat(rng, True), "rim": lambda: rim(rng),
            "ghost": lambda: 0.3 * snare(rng, kit), "ride": lambda: cymbal(rng, True),
            "crash": lambda: cymbal(rng, False), "brush": lambda: brush(rng, True), "pedal": lambda: 0.6 * hat(rng, False),
            "shaker": lambda: shaker(rng), "tom": lambda: tom(rng, 75 + 20 * take)}
    return make[name]().astype(np.float32)


# ---- effects: [channels, samples] or [samples] -------------------------------


@functools.lru_cache(maxsize=64)
def room(seed, length, dark):
    rng = np.random.default_rng(seed)
    n = seconds(length)
    t = ramp(n)
    y = rng.standard_normal(n) * np.exp(-6.9 * t / length) * np.minimum(1, t / 0.004)
    b, a = signal.butter(1, 2500 if dark else 7000, fs=RATE)
    y = signal.lfilter(b, a, y)
    return (y / np.sqrt((y * y).sum())).astype(np.float32)


def reverb(x, seed, length, dark, amount):
    wet = signal.fftconvolve(x, room(seed, length, dark))[: len(x)]
    return x + amount * wet.astype(np.float32)


def echo(x, delay, feedback, amount, dark=True):
    out, tap = x.copy(), x
    b, a = signal.butter(1, 2200 if dark else 6000, fs=RATE)
    n = seconds(delay)
    for _ in range(6):
        tap = np.concatenate([np.zeros(n, np.float32), signal.lfilter(b, a, tap)[: len(x) - n].astype(np.float32)]) * feedback
        out = out + amount / feedback * tap
    return out


def chorus(x, rate=0.7, depth=0.0035):
    t = np.arange(len(x))
    y = x.copy()
    for phase in (0, 2.1):
        at = t - RATE * (0.012 + depth * np.sin(2 * np.pi * rate * t / RATE + phase))
        y += 0.6 * np.interp(at, t, x, left=0).astype(np.float32)
    return y / 1.6


def tape(x, rng, amount):
    """Saturation, dull highs, hiss.  No wow: see above."""
    b, a = signal.butter(1, 12000 - 7000 * amount, fs=RATE)
    y = signal.lfilter(b, a, np.tanh(x * (1 + amount))).astype(np.float32)
    return y + 0.001 * amount * rng.standard_normal(len(x)).astype(np.float32)


def vinyl(n, rng):
    """Crackle and a little rumble."""
    y = np.zeros(n, np.float32)
    for _ in range(int(n / RATE * 14)):
        at, size = int(rng.integers(n - 60)), int(rng.integers(6, 40))
        y[at:at + size] += rng.standard_normal(size) * np.hanning(size) * rng.random() ** 3
    b, a = signal.butter(2, [800, 9000], "band", fs=RATE)
    return 0.5 * signal.lfilter(b, a, y).astype(np.float32) + 0.0015 * rng.standard_normal(n).astype(np.float32)
