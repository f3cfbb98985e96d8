#!/usr/bin/env python3
"""Functions that the product does not call.

Everywhere outside tests/: those that overflow, depend on hidden state, or start
a shell.  Below the programs' own files: those that print, end the process, or
read the environment; that is what callers and main() are for.

banned.py ROOT
"""
import re

import tree

UNSAFE = """strcpy strcat strncpy strncat sprintf vsprintf stpcpy gets strtok system popen
    atoi atol atoll atof alloca mktemp tmpnam tempnam tmpfile rand srand random srandom
    asctime ctime gmtime localtime""".split()
PROGRAM_ONLY = """exit _exit _Exit quick_exit abort printf vprintf puts putchar perror getenv
    secure_getenv setenv putenv signal""".split()

PROGRAMS = re.compile(r"tui/|engine/(cli/|worker)")
# Running out of memory for a small object ends the process, by design.
ABORTS = {"library/base/arena.c": {"abort"}}


def calls(code, names):
    pattern = re.compile(r"(?<![\w.>])(%s)[ \t]*\(" % "|".join(names))
    for match in pattern.finditer(code):
        yield code.count("\n", 0, match.start()) + 1, match.group(1)


def check(root):
    for path in tree.c_files(root):
        if path.startswith("tests/"):
            continue
        code = tree.code_only((root / path).read_text())
        for line, name in calls(code, UNSAFE):
            yield f"{path}:{line}: {name}() is banned"
        if PROGRAMS.match(path):
            continue
        for line, name in calls(code, PROGRAM_ONLY):
            if name not in ABORTS.get(path, ()):
                yield f"{path}:{line}: {name}() belongs to a program, not to a library"
        for match in re.finditer(r"\bf(?:printf|puts|putc)[ \t]*\([^;]*\b(stdout|stderr)\b", code):
            line = code.count("\n", 0, match.start()) + 1
            yield f"{path}:{line}: {match.group(1)} belongs to a program, not to a library"


if __name__ == "__main__":
    tree.main(check)
