#!/usr/bin/env python3
"""Adds white hiss at -40 dBFS, always the same: hiss.py IN.wav OUT.wav (16 bits).
"""
import array
import random
import sys
import wave


def main():
    random.seed(1)
    with wave.open(sys.argv[1]) as file:
        parameters = file.getparams()
        samples = array.array('h', file.readframes(parameters.nframes))
    level = 32768 * 10 ** (-40 / 20)
    for i, sample in enumerate(samples):
        samples[i] = max(-32768, min(32767, round(sample + random.gauss(0, level))))
    with wave.open(sys.argv[2], 'wb') as file:
        file.setparams(parameters)
        file.writeframes(samples)


if __name__ == '__main__':
    main()
