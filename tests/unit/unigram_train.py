#!/usr/bin/env python3
"""Trains small vocabularies of every kind and compares the tokenizer on them.

usage: unigram_train.py PROGRAM [--count N] [--seed N] [--keep DIR]

PROGRAM is the built unigram_compare.  The text to train on is made up here from
a fixed seed.  --keep DIR leaves each model in DIR/NAME/spiece.model; this is how
tests/fixtures/unigram was made.  Exits 77 when there is no Python module
sentencepiece."""

import argparse
import os
import random
import sys
import tempfile

from unigram_compare import PLANES, WORDS, compare, sentencepiece

# A few rules in place of a whole Unicode table: code points to code points.
RULES = """41 42\t61 62
66 66 69\tFB03
FF21\t41
FDFA\t635 644 649 20 627 644 644 647
09\t20
A\t20
A0\t20
200B\t
2581\t20
301\t
C9\t45 301
1F3B5 1F3B6\t6D 75 73 69 63
"""

T5 = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
MODELS = {
    "small": dict(T5, vocab_size=600, user_defined_symbols=["<drop>", "<dropped>", "BPM"],
                  normalization_rule_tsv="rules.tsv"),
    "nfkc": dict(T5, vocab_size=1000, normalization_rule_name="nmt_nfkc"),
    "identity": dict(T5, vocab_size=1000, normalization_rule_name="identity",
                     remove_extra_whitespaces=False),
    "fold": dict(vocab_size=1000, normalization_rule_name="nmt_nfkc_cf",
                 user_defined_symbols=["<drop>", "lo-fi", " hop", "ab"], pad_id=3),
    "bytes": dict(T5, vocab_size=1200, normalization_rule_name="nmt_nfkc", byte_fallback=True),
    "suffix": dict(T5, vocab_size=1000, normalization_rule_name="nmt_nfkc_cf",
                   treat_whitespace_as_suffix=True, split_by_whitespace=False),
    "bare": dict(T5, vocab_size=1000, add_dummy_prefix=False, split_by_unicode_script=False),
}


def corpus(r):
    """Sentences of known words, invented words and a few foreign letters."""
    syllables = [a + b for a in "bcdfghjklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er")]
    letters = [chr(r.randint(low, high)) for low, high in PLANES[:9] for _ in range(4)]
    invented = ["".join(r.choices(syllables, k=r.randint(1, 4))) for _ in range(1500)]
    for _ in range(3000):
        words = r.choices(WORDS, k=r.randint(2, 9)) + r.choices(invented, k=r.randint(2, 9))
        words += r.choices(letters, k=1) * (r.random() < 0.2)
        r.shuffle(words)
        yield " ".join(words)


def train(folder, name):
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    sentencepiece.SentencePieceTrainer.Train(
        input=os.path.join(folder, "corpus.txt"), model_prefix=os.path.join(path, "spiece"),
        model_type="unigram", character_coverage=1.0, hard_vocab_limit=False, num_threads=1,
        minloglevel=2, **{k: os.path.join(folder, v) if k.endswith("tsv") else v
                          for k, v in MODELS[name].items()})
    return path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or temporary
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "corpus.txt"), "w") as f:
            f.writelines(line + "\n" for line in corpus(random.Random(7)))
        with open(os.path.join(folder, "rules.tsv"), "w") as f:
            f.write(RULES)
        ok = True
        for name in MODELS:
            path = train(folder, name)
            ok &= compare(args.program, path, path + "/spiece.model", args.count, args.seed)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
