#!/usr/bin/env python3
"""Puts pictures of one height side by side: row.py OUT.png IN.png...  Needs Pillow."""
import sys

from PIL import Image


def main():
    parts = [Image.open(name).convert('RGB') for name in sys.argv[2:]]
    whole = Image.new('RGB', (sum(p.width for p in parts), parts[0].height))
    x = 0
    for part in parts:
        whole.paste(part, (x, 0))
        x += part.width
    whole.quantize(64, dither=Image.Dither.NONE).save(sys.argv[1], optimize=True)


if __name__ == '__main__':
    main()
