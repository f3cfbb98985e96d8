#!/usr/bin/env python3
"""Every header compiles alone: as C11 with the compiler given, and gpu/gpu.h
as C++ as well, for CUDA.

headers.py ROOT COMPILER...     e.g. headers.py . gcc
"""
import shutil
import subprocess
import sys

import tree

FLAGS = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]


# What gpu/cuda includes of the toolkit, where there is none.
TOOLKIT = ["-idirafter", "tests/emulation"]


def compiles(root, compiler, language, path):
    """None, or what the compiler says about a file that only includes path."""
    run = subprocess.run(
        compiler + FLAGS + language + ["-I", ".", *TOOLKIT, "-"],
        cwd=root,
        input=f'#include "{path}"\n',
        capture_output=True,
        text=True,
    )
    return None if run.returncode == 0 else run.stderr.strip()[:2000]


def cxx_compiler():
    for command in (["c++"], ["clang++"], ["clang"]):
        if shutil.which(command[0]):
            return command
    return None


def check(root):
    compiler = sys.argv[2:] or ["cc"]
    for path in tree.tracked(root, "*.h"):
        wrong = compiles(root, compiler, ["-x", "c", "-std=c11"], path)
        if wrong:
            yield f"{path}:1: does not compile alone as C11\n{wrong}"
    for path in tree.tracked(root, "gpu/gpu.h"):
        if not cxx_compiler():
            yield f"{path}:1: no C++ compiler to try it with (apt-get install clang)"
            continue
        wrong = compiles(root, cxx_compiler(), ["-x", "c++", "-std=c++17"], path)
        if wrong:
            yield f"{path}:1: does not compile alone as C++17\n{wrong}"


if __name__ == "__main__":
    tree.main(check)
