#!/usr/bin/env python3
"""Noise as files, and whether a recording is made of it as it should be.

segments.py make FILE FRAMES SEED GAIN   16-bit stereo noise at 48 kHz; the same seed
                                         at another gain is a twin
segments.py loop RAW FILE                0.5 to 0.75 s some times, the rest once
segments.py twin RAW FILE TWIN           the twin from some frame on, and back
segments.py swap RAW FILE OTHER           the same
segments.py next RAW FILE NEXT           one, then the other
segments.py seek RAW FILE                from some frame on what comes from 1.2 s on

Noise repeats nowhere, so each frame of the recording says where it is from: one
too many, too few or at the wrong place fails.
"""
import array
import random
import sys
import wave

RATE = 48000
FADE = 480  # frames of a cross-fade
# Rounding, once when the file was made and once by the server; in a fade the
# weights make it no larger.
STEPS = 1.5


def make(path, n, seed, gain):
    noise = random.Random(seed)
    with wave.open(path, "wb") as f:
        f.setnchannels(2)
        f.setsampwidth(2)
        f.setframerate(RATE)
        f.writeframes(
            array.array("h", (round(gain * noise.randint(-9000, 9000)) for _ in range(2 * n)))
        )


def read(path):
    data = array.array("h")
    if path.endswith(".raw"):
        with open(path, "rb") as f:
            data.frombytes(f.read())
    else:
        with wave.open(path, "rb") as f:
            data.frombytes(f.readframes(f.getnframes()))
    return list(zip(data[0::2], data[1::2]))


def fail(text):
    print("# " + text)
    sys.exit(1)


def same(a, b):
    return abs(a[0] - b[0]) <= STEPS and abs(a[1] - b[1]) <= STEPS


def matches(heard, at, clip, begin, n):
    return len(heard) >= at + n and all(
        same(heard[at + i], clip[begin + i]) for i in range(n)
    )


def start(heard, clip):
    for at in range(len(heard) - 64):
        if matches(heard, at, clip, 0, 64):
            return at
    fail("the beginning was not heard")


def run(heard, at, clip, begin):
    """How many frames from there on are the clip's."""
    n = 0
    while begin + n < len(clip) and at + n < len(heard) and same(heard[at + n], clip[begin + n]):
        n += 1
    return n


def whole(heard, at, clip, begin):
    n = run(heard, at, clip, begin)
    if begin + n < len(clip):
        fail(f"frame {begin + n} was not heard as it is")
    return at + n


def silent(heard, at):
    if any(any(frame) for frame in heard[at:]):
        fail("something was heard after the end")


def fade(heard, at, old, old_begin, new, new_begin):
    """A cross-fade that begins at most 9 frames before `at`, where the old one was
    heard last: at which frame it ends, and where in the new one."""
    for first in range(at - 9, at + 1):
        shift = first - at
        if all(
            abs(
                heard[first + i][c]
                - (
                    old[old_begin + shift + i][c] * (FADE - i)
                    + new[new_begin(shift) + i][c] * i
                )
                / FADE
            )
            <= STEPS
            for i in range(FADE)
            for c in (0, 1)
        ):
            return first + FADE, new_begin(shift) + FADE
    fail(f"no cross-fade at frame {old_begin}")


def loop(heard, clip):
    at, begin, times = start(heard, clip), 0, 0
    while True:
        if not matches(heard, at, clip, begin, 36000 - begin):
            fail("something is wrong before the end of the loop")
        at += 36000 - begin
        if not matches(heard, at, clip, 24000, 64):
            break
        begin, times = 24000, times + 1
    silent(heard, whole(heard, at, clip, 36000))
    if times < 4:
        fail(f"only {times} times round")
    print(f"# {times} times round")


def twin(heard, dry, wet):
    at, pos = start(heard, dry), 0
    for old, new in ((dry, wet), (wet, dry)):
        n = run(heard, at, old, pos)
        at, pos = fade(heard, at + n, old, pos + n, new, lambda shift: pos + n + shift)
    silent(heard, whole(heard, at, dry, pos))


def follow(heard, first, second):
    at = whole(heard, start(heard, first), first, 0)
    silent(heard, whole(heard, at, second, 0))


def seek(heard, clip):
    at = start(heard, clip)
    n = run(heard, at, clip, 0)
    at, pos = fade(heard, at + n, clip, n, clip, lambda shift: 57600)
    silent(heard, whole(heard, at, clip, pos))


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "make":
        make(words[0], int(words[1]), words[2], float(words[3]))
    else:
        {"loop": loop, "twin": twin, "swap": twin, "next": follow, "seek": seek}[what](*map(read, words))
