#!/usr/bin/env python3
"""Compares the byte-level BPE tokenizer with Hugging Face's tokenizers on random texts.

usage: bpe_compare.py PROGRAM DIR [--count N] [--seed N]

PROGRAM is the built unigram_compare; both read DIR/tokenizer.json.  Added tokens are left out:
to woodshed "<mask>" in a text is text.  Exits 77 when there is no Python module tokenizers.
Prints the agreement and the first texts that differ."""

import argparse
import json
import random
import sys

try:
    import tokenizers
except ImportError:
    print("skipped: there is no Python module tokenizers (pip install tokenizers)")
    sys.exit(77)

from random_texts import random_text, run


def as_text(data):
    """Each byte of what is no UTF-8 is one U+FFFD, as in utf8_decode()."""
    marked = data.decode("utf-8", "surrogateescape")
    return "".join("\ufffd" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in marked)


def reference(folder):
    """The model of the file and RoBERTa's cutting into words, without added tokens."""
    with open(folder + "/tokenizer.json", encoding="utf-8") as f:
        model = json.load(f)["model"]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    t = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=model["vocab"], merges=merges))
    t.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return t, model["vocab"]["<s>"], model["vocab"]["</s>"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("dir")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    r = random.Random(args.seed)
    texts = [random_text(r) for _ in range(args.count)]
    model, begin, end = reference(args.dir)
    n_bad = 0
    for text, got in zip(texts, run([args.program, "--bpe", args.dir], texts)):
        want = [begin] + model.encode(as_text(text), add_special_tokens=False).ids + [end]
        if got != want:
            n_bad += 1
            if n_bad <= 5:
                print("differs: %r\n  %s, not %s" % (text[:200], got[:20], want[:20]))
    print("%d of %d texts agree with tokenizers %s (seed %d, %d bytes)"
          % (args.count - n_bad, args.count, tokenizers.__version__, args.seed,
             sum(map(len, texts))))
    return 0 if n_bad == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
