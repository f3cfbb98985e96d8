#!/usr/bin/env python3
"""Compares the tokenizer with SentencePiece's own on random texts.

usage: unigram_compare.py PROGRAM DIR [--spiece FILE] [--count N] [--seed N]

PROGRAM is the built unigram_compare, which reads DIR; SentencePiece reads FILE.
Exits 77 when there is no Python module sentencepiece.  Prints the agreement and
the first texts that differ.  Versions before 0.2.2 break ties between equally
good cuts otherwise: there a cut with the same score is let pass, and counted."""

import argparse
import random
import sys

from random_texts import random_text, run

try:
    import sentencepiece
except ImportError:
    print("skipped: there is no Python module sentencepiece (Debian: python3-sentencepiece)")
    sys.exit(77)

def breaks_ties_alike():
    """Up to 0.2.1 scores were compared before they were rounded to floats."""
    return tuple(int(x) for x in sentencepiece.__version__.split(".")[:3]) >= (0, 2, 2)


def differing_parts(a, b):
    """What is left of two lists without what both begin and end with."""
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    a, b = a[n:], b[n:]
    n = 0
    while n < min(len(a), len(b)) and a[-1 - n] == b[-1 - n]:
        n += 1
    return a[:len(a) - n], b[:len(b) - n]


def is_tie(model, a, b):
    """Whether two cuts of the same text are equally good but for the rounding of
    float sums: each addition where they differ is off by at most 2^-24 of the sum
    so far."""
    total = sum(map(model.GetScore, a))
    part_a, part_b = differing_parts(a, b)
    texts = ["".join(map(model.IdToPiece, part)) for part in (part_a, part_b)]
    difference = sum(map(model.GetScore, part_a)) - sum(map(model.GetScore, part_b))
    return (texts[0] == texts[1]
            and abs(difference) <= (len(part_a) + len(part_b)) * 2.0 ** -24 * abs(total))


def compare(program, folder, spiece, count, seed):
    """Prints the agreement on random texts; returns whether all is well."""
    r = random.Random(seed)
    texts = [random_text(r) for _ in range(count)]
    model = sentencepiece.SentencePieceProcessor()
    model.Load(spiece)
    end = model.PieceToId("</s>")
    ids = run([program, folder], texts)
    n_equal, n_ties, bad = 0, 0, []
    for text, got in zip(texts, ids):
        want = model.EncodeAsIds(text) + [end]
        if got == want:
            n_equal += 1
        elif not breaks_ties_alike() and is_tie(model, got, want):
            n_ties += 1
        else:
            bad.append((text, got, want))
    for text, got, want in bad[:5]:
        at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b),
                  min(len(got), len(want)))
        print("differs: %r\n  from id %d of %d: %s, not %s"
              % (text[:200], at, len(want), got[at:at + 8], want[at:at + 8]))
    print("%s: %d of %d texts agree with sentencepiece %s, %d differ in a "
          "tie only (seed %d, %d bytes)" % (spiece, n_equal, count, sentencepiece.__version__,
                                         n_ties, seed, sum(map(len, texts))))
    return n_equal + n_ties == count and n_equal > 0.9 * count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("dir")
    parser.add_argument("--spiece", help="default: DIR/spiece.model")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    spiece = args.spiece or args.dir + "/spiece.model"
    return 0 if compare(args.program, args.dir, spiece, args.count, args.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
