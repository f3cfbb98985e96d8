#!/usr/bin/env python3
"""Draws a terminal's screen, as `tmux capture-pane -e` prints it, into a PNG file.

    screen.py COLUMNS ROWS BACKGROUND OUT.png <SCREEN

BACKGROUND, as 16181d, is what lies around the screen.  Needs Pillow and the font
DejaVu Sans Mono.  It knows what the workstation sends: colours, bold, dim, underline,
reverse, one-cell characters; blocks and rules are drawn, not set, so that they meet.
"""
import re
import sys

from PIL import Image, ImageDraw, ImageFont

CELL_W, CELL_H, SIZE, MARGIN = 9, 18, 15, 9
FOREGROUND = (220, 220, 220)
# The 16 colours of xterm.
PALETTE = [
    (0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0),
    (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229),
    (127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0),
    (92, 92, 255), (255, 0, 255), (0, 255, 255), (255, 255, 255),
]
LEVELS = (0, 95, 135, 175, 215, 255)
PLAIN = dict(fg=None, bg=None, bold=False, dim=False, under=False, reverse=False)
# What VT100's line drawing (SO ... SI) means, as far as it is used.
LINES = dict(zip('jklmnqtuvwxa', '┘┐┌└┼─├┤┴┬│▒'))


def indexed(n):
    if n < 16:
        return PALETTE[n]
    if n < 232:
        n -= 16
        return (LEVELS[n // 36], LEVELS[n // 6 % 6], LEVELS[n % 6])
    return (8 + 10 * (n - 232),) * 3


def select(pen, numbers):
    """ECMA-48's SGR: a pen that `numbers` have changed."""
    pen = dict(pen)
    n = iter(numbers)
    for code in n:
        if code == 0:
            pen = dict(PLAIN)
        elif code in (1, 2):
            pen['bold' if code == 1 else 'dim'] = True
        elif code == 22:
            pen['bold'] = pen['dim'] = False
        elif code in (4, 24):
            pen['under'] = code == 4
        elif code in (7, 27):
            pen['reverse'] = code == 7
        elif code in (38, 48):
            colour = indexed(next(n)) if next(n) == 5 else (next(n), next(n), next(n))
            pen['fg' if code == 38 else 'bg'] = colour
        elif code in (39, 49):
            pen['fg' if code == 39 else 'bg'] = None
        elif code // 10 in (3, 4, 9, 10):
            bright = 8 if code >= 90 else 0
            pen['fg' if code // 10 in (3, 9) else 'bg'] = PALETTE[code % 10 + bright]
    return pen


def cells(line, pen):
    """Each character of a line with the pen it is written with, and at the end (None,
    pen): tmux takes the pen along to the next line."""
    drawing = False
    for m in re.finditer('\x1b\\[([0-9;:]*)m|([\x0e\x0f])|(.)', line):
        if m[1] is not None:
            pen = select(pen, [int(v or 0) for v in re.split('[;:]', m[1])])
        elif m[2]:
            drawing = m[2] == '\x0e'
        else:
            yield (LINES.get(m[3], m[3]) if drawing else m[3]), pen
    yield None, pen


class Screen:
    def __init__(self, columns, rows, background):
        size = (columns * CELL_W + 2 * MARGIN, rows * CELL_H + 2 * MARGIN)
        self.background = background
        self.image = Image.new('RGB', size, background)
        self.draw = ImageDraw.Draw(self.image)
        self.fonts = [ImageFont.truetype(name, SIZE)
            for name in ('DejaVuSansMono.ttf', 'DejaVuSansMono-Bold.ttf')]

    def put(self, column, row, char, pen):
        x, y = MARGIN + column * CELL_W, MARGIN + row * CELL_H
        fg, bg = pen['fg'] or FOREGROUND, pen['bg'] or self.background
        if pen['reverse']:
            fg, bg = bg, fg
        if pen['dim']:
            fg = tuple((a + b) // 2 for a, b in zip(fg, bg))
        self.fill(x, y, CELL_W, CELL_H, bg)
        if not self.block(x, y, char, fg) and char != ' ':
            self.draw.text((x, y), char, fill=fg, font=self.fonts[pen['bold']])
        if pen['under']:
            self.fill(x, y + CELL_H - 2, CELL_W, 1, fg)

    def fill(self, x, y, width, height, colour):
        if width > 0 and height > 0:
            self.draw.rectangle([x, y, x + width - 1, y + height - 1], fill=colour)

    def block(self, x, y, char, fg):
        """Half and eighth blocks, and straight rules; False: char is none."""
        eighths = ord(char) - 0x2580
        if char == '▀':
            self.fill(x, y, CELL_W, CELL_H // 2, fg)
        elif 1 <= eighths <= 8:
            height = eighths * CELL_H // 8
            self.fill(x, y + CELL_H - height, CELL_W, height, fg)
        elif 9 <= eighths <= 15:
            self.fill(x, y, (16 - eighths) * CELL_W // 8, CELL_H, fg)
        elif char in '─━':
            self.fill(x, y + CELL_H // 2, CELL_W, 2 if char == '━' else 1, fg)
        elif char == '│':
            self.fill(x + CELL_W // 2, y, 1, CELL_H, fg)
        else:
            return False
        return True


def main():
    columns, rows = int(sys.argv[1]), int(sys.argv[2])
    background = tuple(bytes.fromhex(sys.argv[3]))
    screen = Screen(columns, rows, background)
    pen = dict(PLAIN)
    for row, line in enumerate(sys.stdin.read().split('\n')[:rows]):
        for column, (char, pen) in enumerate(cells(line, pen)):
            if char:
                screen.put(column, row, char, pen)
    # 256 colours are enough for a screen, and a third of the bytes.
    image = screen.image.quantize(256, dither=Image.Dither.NONE)
    image.save(sys.argv[4], optimize=True)


if __name__ == '__main__':
    main()
