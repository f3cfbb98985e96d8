"""Random texts of every kind that a tokenizer may meet, and the ids that ours gives them."""
import struct
import subprocess

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


def run(command, texts):
    """The ids of each text, by the program unigram_compare."""
    packed = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    out = subprocess.run(command, input=packed, stdout=subprocess.PIPE, check=True)
    lines = out.stdout.decode().splitlines()
    if len(lines) != len(texts):
        raise ValueError("%d texts have %d answers" % (len(texts), len(lines)))
    return [[int(i) for i in line.split()] for line in lines]
