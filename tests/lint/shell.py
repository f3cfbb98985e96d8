#!/usr/bin/env python3
"""Shell scripts parse, and shellcheck, where it is installed, has no warning.

shell.py ROOT
"""
import re
import shutil
import subprocess

import tree


def shell_of(path):
    with open(path, "rb") as file:
        first = file.readline(200).decode(errors="replace")
    match = re.match(r"#!.*\b(sh|bash|dash)\b", first) or re.match(r"# shellcheck shell=(\w+)", first)
    return match.group(1) if match else None


def check(root):
    for path in tree.tracked(root):
        shell = shell_of(root / path)
        if not shell:
            continue
        run = subprocess.run([shell, "-n", str(root / path)], capture_output=True, text=True)
        if run.returncode:
            yield f"{path}:1: {run.stderr.strip()}"
        if not shutil.which("shellcheck"):
            continue
        run = subprocess.run(
            ["shellcheck", "-x", "-S", "warning", "-f", "gcc", path],
            cwd=root, capture_output=True, text=True,
        )
        yield from run.stdout.splitlines()


if __name__ == "__main__":
    tree.main(check)
