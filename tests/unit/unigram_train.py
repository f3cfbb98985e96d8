#!/usr/bin/env python3
"""Trains small vocabularies of every kind and compares the tokenizer on them.

usage: unigram_train.py PROGRAM [--count N] [--seed N] [--keep DIR]

PROGRAM is the built unigram_compare.  The text to train on is made up here from
a fixed seed.  --keep DIR leaves DIR/NAME/spiece.model, and golden.jsonl with the
ids of some texts, of each model that has no Unicode table; this is how
tests/fixtures/unigram was made.  Exits 77 when there is no Python module
sentencepiece."""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile

from random_texts import PLANES, WORDS, random_text
from unigram_compare import compare, sentencepiece

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
1F3B5\t62
1F3B5 1F3B6\t6D 75 73 69 63
"""

T5 = dict(pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
MODELS = {
    # "DAB": a rule would change its "AB"; "丁①", "①ж": the longer one wins.
    "small": dict(T5, vocab_size=600, normalization_rule_tsv="rules.tsv",
                  user_defined_symbols=["<drop>", "<dropped>", "BPM", "DAB", "丁①", "①ж"]),
    "nfkc": dict(T5, vocab_size=1000, normalization_rule_name="nmt_nfkc"),
    "identity": dict(T5, vocab_size=600, normalization_rule_name="identity",
                     remove_extra_whitespaces=False),
    "fold": dict(vocab_size=1000, normalization_rule_name="nmt_nfkc_cf",
                 user_defined_symbols=["<drop>", "lo-fi", " hop", "ab"], pad_id=3),
    "bytes": dict(T5, vocab_size=800, normalization_rule_tsv="rules.tsv", byte_fallback=True),
    "suffix": dict(T5, vocab_size=600, normalization_rule_tsv="rules.tsv",
                   treat_whitespace_as_suffix=True, split_by_whitespace=False),
    "bare": dict(T5, vocab_size=600, normalization_rule_tsv="rules.tsv", add_dummy_prefix=False,
                 split_by_unicode_script=False),
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


def train(name):
    """In this folder: the model holds the paths that it is told."""
    os.makedirs(name)
    sentencepiece.SentencePieceTrainer.Train(
        input="corpus.txt", model_prefix=name + "/spiece", model_type="unigram",
        character_coverage=1.0, hard_vocab_limit=False, num_threads=1, minloglevel=2,
        **MODELS[name])


def keep(name, folder):
    """The model, and the ids of some short texts, as a fixture."""
    os.makedirs(folder, exist_ok=True)
    shutil.copy(name + "/spiece.model", folder)
    model = sentencepiece.SentencePieceProcessor()
    model.Load(name + "/spiece.model")
    r = random.Random(3)
    texts = [t for t in (random_text(r) for _ in range(200)) if len(t) < 100][:55]
    texts += [t.encode() for t in ("DAB AB", "xBPM<dropped", "丁①ж", "DABPM", "🎵🎶 🎵🎵")]
    with open(folder + "/golden.jsonl", "w") as f:
        for text in texts:
            ids = model.EncodeAsIds(text) + [model.PieceToId("</s>")]
            f.write(json.dumps({"hex": text.hex(), "ids": ids}) + "\n")


def train_and_compare(args):
    with open("corpus.txt", "w") as f:
        f.writelines(line + "\n" for line in corpus(random.Random(7)))
    with open("rules.tsv", "w") as f:
        f.write(RULES)
    ok = True
    for name, options in MODELS.items():
        train(name)
        ok &= compare(args.program, name, name + "/spiece.model", args.count, args.seed)
        if args.keep and not options.get("normalization_rule_name", "").startswith("nmt"):
            keep(name, os.path.join(args.keep, name))
    return ok


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=os.path.abspath)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=os.path.abspath)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        ok = train_and_compare(args)
        os.chdir("/")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
