#!/usr/bin/env python3
"""Tones as files, and what a recording holds.

listen.py make FILE FRAMES OFFSET    16-bit stereo at 48 kHz: 440 Hz left at a half,
                                     1000 Hz right at a quarter, from frame OFFSET of
                                     the tone on
listen.py heard RAW FRAMES [GAIN]    the recording holds FRAMES of that tone, from its
                                     beginning, without a gap; exit status 1 if not

By the samples, by a recurrence that no sine breaks, and by counting periods: a
tone that is all there but late, cut or doubled fails.
"""
import array
import math
import sys
import wave

RATE = 48000
TONES = ((440, 0.5), (1000, 0.25))


def tone(side, frame):
    hz, amplitude = TONES[side]
    return round(32767 * amplitude * math.sin(2 * math.pi * hz * frame / RATE))


def make(path, n, offset):
    out = array.array("h", (tone(side, i + offset) for i in range(n) for side in (0, 1)))
    with wave.open(path, "wb") as f:
        f.setnchannels(2)
        f.setsampwidth(2)
        f.setframerate(RATE)
        f.writeframes(out.tobytes())


def fail(text):
    print("# " + text)
    sys.exit(1)


def check_side(x, side, gain):
    """x: the samples of one side, which are to be the tone from frame 0 on."""
    hz, amplitude = TONES[side]
    off = max(range(len(x)), key=lambda i: abs(x[i] - gain * tone(side, i)))
    difference = abs(x[off] - gain * tone(side, off))
    if difference > 1.5:  # rounding, once on each side
        fail(f"side {side}: frame {off} is {x[off]}, not {gain * tone(side, off):.1f}")
    # Each sample is rounded to within half a step (one at another gain), so that a
    # sine stays below 4 of them.
    c = 2 * math.cos(2 * math.pi * hz / RATE)
    broken = max(abs(x[i + 1] - c * x[i] + x[i - 1]) for i in range(1, len(x) - 1))
    if broken > 4:
        fail(f"side {side}: a break of {broken:.1f} steps")
    periods = sum(a < 0 <= b for a, b in zip(x, x[1:]))
    if abs(periods - len(x) * hz / RATE) > 1.5:
        fail(f"side {side}: {periods} periods of {hz} Hz in {len(x)} frames")
    peak = max(map(abs, x)) / 32767
    if abs(peak - gain * amplitude) > 0.001:
        fail(f"side {side}: the peak is {peak:.4f}")


def heard(path, n, gain):
    data = array.array("h")
    with open(path, "rb") as f:
        data.frombytes(f.read())
    left, right = data[0::2], data[1::2]
    begin = next((i for i in range(len(left)) if left[i] or right[i]), None)
    if begin is None:
        fail(f"nothing was heard in {len(left)} frames")
    begin -= 1  # a sine begins with zero
    end = begin + n
    if end > len(left):
        fail(f"the end is missing: {len(left) - begin} frames of {n}")
    check_side(left[begin:end], 0, gain)
    check_side(right[begin:end], 1, gain)
    if any(left[end + 1 :]) or any(right[end + 1 :]):
        fail("something was heard after the end")
    print(f"# {n} frames, all of them")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        heard(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else 1.0)
