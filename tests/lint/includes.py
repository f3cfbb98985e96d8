#!/usr/bin/env python3
"""Who may include what: the table of docs/ARCHITECTURE.md as a test.

includes.py ROOT prints file:line for every #include that points the wrong way.
"""
import re

import tree

# System headers anyone may use: the C library, POSIX, Linux, and intrinsics.
LIBC = set(
    """assert ctype dirent dlfcn endian errno fcntl fenv float fnmatch ftw getopt glob grp iconv
    inttypes langinfo libgen limits locale malloc math poll pthread pwd regex sched semaphore
    setjmp signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn
    string strings syslog termios threads time uchar ucontext unistd wchar wctype
    cpuid immintrin arm_neon""".split()
)
LIBC_FOLDERS = ("sys/", "linux/", "asm/", "arpa/", "netinet/", "sanitizer/")

# The first row whose pattern matches a file is its rule: which headers of this
# repository, and which libraries, it may include.
RULES = [
    (r"library/base/", r"library/base/", ()),
    (
        r"library/",
        r"library/",
        ("sqlite3", "sndfile", "FLAC/", "soxr", "ebur128", "jansson", "curl/", "png"),
    ),
    (r"gpu/cuda/", r"gpu/|library/base/|tests/emulation/", ("cuda", "cublas", "nvtx")),
    (r"gpu/", r"gpu/(?!cuda/)|library/base/", ()),
    # The verbs and the worker know the library; networks, text, samplers and
    # pipelines do not.
    (
        r"engine/(cli/|worker)",
        r"engine/|gpu/gpu\.h|library/",
        ("jansson", "sndfile", "soxr"),
    ),
    (
        r"engine/denoise/",
        r"engine/(denoise|weights)/|gpu/gpu\.h|library/base/",
        ("kiss_fft", "soxr"),
    ),
    (r"engine/", r"engine/(?!cli/|worker)|gpu/gpu\.h|library/base/", ("jansson", "xxhash")),
    (r"tui/", r"tui/|library/", ("curses", "ncurses", "portaudio", "alsa", "jansson")),
    (r"tests/", r"", None),
]

INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*([<\"])([^>\"]+)[>\"]", re.M)


def is_libc(header):
    return header.startswith(LIBC_FOLDERS) or header.removesuffix(".h") in LIBC


def verdict(rule, kind, header):
    """Why the rule forbids the header, or None."""
    pattern, own, libraries = rule
    if libraries is None:
        return None
    if kind == '"':
        if not re.match(own, header):
            return f"{pattern} may include only {own}"
    elif not is_libc(header) and not any(header.startswith(x) for x in libraries):
        return f"{pattern} may use the C library{''.join(', ' + x for x in libraries)}"
    return None


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text, flags=re.S)


def check(root):
    for path in tree.c_files(root):
        text = without_comments((root / path).read_text())
        rule = next((r for r in RULES if re.match(r[0], path)), None)
        if rule is None:
            yield f"{path}:1: C in a folder that the table does not know"
            continue
        for match in INCLUDE.finditer(text):
            kind, header = match.groups()
            line = text.count("\n", 0, match.start()) + 1
            why = verdict(rule, kind, header)
            if why:
                yield f"{path}:{line}: includes {header}: {why}"
            elif kind == '"' and not (root / header).is_file():
                yield f"{path}:{line}: includes {header}: not a path from the root"


if __name__ == "__main__":
    tree.main(check)
