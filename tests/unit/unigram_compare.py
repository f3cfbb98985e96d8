#!/usr/bin/env python3
"""Compares the tokenizer with SentencePiece's own on random texts.

usage: unigram_compare.py PROGRAM DIR [--spiece FILE] [--count N] [--seed N]

PROGRAM is the built unigram_compare, which reads DIR; SentencePiece reads FILE.
Exits 77 when there is no Python module sentencepiece.  Prints the agreement and
the first texts that differ.  Versions before 0.2.2 break ties between equally
good cuts otherwise: there a cut with the same score is let pass, and counted."""

import argparse
import random
import struct
import subprocess
import sys

try:
    import sentencepiece
except ImportError:
    print("skipped: there is no Python module sentencepiece (Debian: python3-sentencepiece)")
    sys.exit(77)

WORDS = """a the of with and in on lo-fi hip hop beat 90 BPM warm Rhodes vinyl crackle drum & bass 174bpm
80s synthwave pop driving epic orchestral cinematic techno TB-303 acid jazz trio upright piano guitar
acoustic distorted reverb C#m7♭5 4/4 6/8 smoky club rain forest ambient drone choir Motörhead naïve café
don't it's "quoted" slow tempo very unbelievably onomatopoeia 1234567890 3.14159 1e-9 UPPER MiXeD""".split()
BLANKS = " \t\n\r\v\f\u00a0\u00ad\u1680\u2003\u2009\u200b\u2028\u202f\u2060\u2581\u3000\ufeff"
MARKS = "\u0301\u0308\u0327\u0338\u093c\u0e34\u1161\u11a8\u20dd\u3099\ufe0f\u200d"
SPECIALS = ["<unk>", "</s>", "<pad>", "<s>", "<extra_id_0>", "<0x41>", "[MASK]", "<drop>", "<dropped>"]
PLANES = [(0x80, 0x24f), (0x370, 0x5ff), (0x900, 0xdff), (0x1100, 0x11ff), (0x1e00, 0x1fff),
          (0x2000, 0x2bff), (0x3040, 0x30ff), (0x3200, 0x33ff), (0x4e00, 0x9fff), (0xac00, 0xd7a3),
          (0xe000, 0xf8ff), (0xf900, 0xffff), (0x10000, 0x1ffff), (0x20000, 0x2ffff), (0x30000, 0x10ffff)]


def code_point(r):
    low, high = r.choice(PLANES)
    return chr(r.randint(low, high))


def fragment(r):
    """A few bytes of one kind."""
    kind = r.randrange(12)
    if kind < 3:
        text = " ".join(r.choices(WORDS, k=r.randint(1, 8)))
    elif kind == 3:
        text = "".join(chr(r.randint(0x20, 0x7e)) for _ in range(r.randint(1, 20)))
    elif kind == 4:
        text = "".join(code_point(r) for _ in range(r.randint(1, 12)))
    elif kind == 5:
        text = "".join(r.choice("aeinoücAÅか가ﷺﬁ½") + "".join(r.choices(MARKS, k=r.randint(1, 4)))
                       for _ in range(r.randint(1, 6)))
    elif kind == 6:
        text = "".join(chr(r.choice([r.randint(0, 0x1f), r.randint(0x7f, 0x9f)]))
                       for _ in range(r.randint(1, 5)))
    elif kind == 7:
        return bytes(r.choice([r.randint(0x80, 0xff), r.randint(0, 0xff)])
                     for _ in range(r.randint(1, 8)))
    elif kind == 8:
        text = r.choice(BLANKS) * r.randint(1, r.choice([3, 300]))
    elif kind == 9:
        text = "".join(r.choices(r.choice(["x", "ab", "abcdefghijklmnopqrstuvwxyz", "01", "ha!", "▁"]),
                                 k=r.choice([5, 50, 1000])))
    elif kind == 10:
        text = r.choice(SPECIALS)
    else:  # a valid text that is cut inside a character
        return "".join(code_point(r) for _ in range(3)).encode()[:-1]
    return text.encode()


def random_text(r):
    glue = r.choice([b"", b" ", b" ", b"  "])
    return glue.join(fragment(r) for _ in range(r.choice([0, 1, 1, 2, 3, 5, 8])))


def run(program, folder, texts):
    """The ids of each text."""
    packed = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    out = subprocess.run([program, folder], input=packed, stdout=subprocess.PIPE, check=True)
    return [[int(i) for i in line.split()] for line in out.stdout.decode().splitlines()]


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
    ids = run(program, folder, texts)
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
