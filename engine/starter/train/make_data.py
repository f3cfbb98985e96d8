#!/usr/bin/env python3
"""Renders pieces and captions into a folder, on all cores.

    make_data.py DIR [--count N] [--first SEED] [--jobs N] [--minutes M]
                 [--seconds S]

DIR/audio.i16 holds N pieces of S seconds (10) at RATE, one after the other, as 16-bit
samples; DIR/pieces.jsonl a line each: its plan, and CAPTIONS captions.  Goes on
where an earlier run with the same arguments stopped.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import pathlib
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # the jobs are the threads

import numpy as np

import captions
import pieces

CAPTIONS = 12

def make(job):
    seed, seconds = job
    p = pieces.plan(seed)
    x = pieces.play(p, seconds)
    if not np.isfinite(x).all() or np.abs(x).max() > 1:
        raise RuntimeError(f"piece {seed} is broken")
    rng = np.random.default_rng([seed, 2])
    line = dict(dataclasses.asdict(p), seconds=seconds, captions=[captions.caption(p, rng) for _ in range(CAPTIONS)])
    return np.round(x * 32767).astype("<i2"), json.dumps(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--minutes", type=float, default=1e9, help="stops after so many")
    parser.add_argument("--seconds", type=float, default=pieces.SECONDS)
    args = parser.parse_args()
    began = time.time()
    args.dir.mkdir(parents=True, exist_ok=True)
    audio, lines = args.dir / "audio.i16", args.dir / "pieces.jsonl"
    done = sum(1 for _ in lines.open()) if lines.exists() else 0
    with audio.open("r+b" if audio.exists() else "wb") as sound, lines.open("a") as text:
        sound.truncate(done * 2 * int(args.seconds * pieces.RATE))
        sound.seek(0, os.SEEK_END)
        with multiprocessing.Pool(args.jobs) as pool:
            todo = ((seed, args.seconds) for seed in range(args.first + done, args.first + args.count))
            for samples, line in pool.imap(make, todo, chunksize=4):
                sound.write(samples.tobytes())
                sound.flush()
                text.write(line + "\n")
                text.flush()
                done += 1
                if done % 200 == 0:
                    print(f"{done} of {args.count}  {time.time() - began:.0f} s", flush=True)
                if time.time() - began > 60 * args.minutes:
                    break


if __name__ == "__main__":
    main()
