#!/usr/bin/env python3
"""Every C file is as clang-format 14 (Debian 12) leaves it.  Other versions
format differently: skipped with them.

format.py ROOT
"""
import re
import shutil
import subprocess

import tree

VERSION = "14"


def clang_format():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        command = shutil.which(name)
        if not command:
            continue
        says = subprocess.run([command, "--version"], capture_output=True, text=True).stdout
        if re.search(rf"version {VERSION}\.", says):
            return command
    tree.skip(f"clang-format {VERSION} is not installed")


def check(root):
    command = clang_format()
    files = tree.c_files(root)
    if not files:
        return
    run = subprocess.run(
        [command, "--dry-run", "--Werror"] + files,
        cwd=root,
        capture_output=True,
        text=True,
    )
    seen = set()
    for line in run.stderr.splitlines():
        place = re.match(r"(\S+?:\d+):\d+: error:", line)
        if place and place.group(1) not in seen:
            seen.add(place.group(1))
            yield f"{place.group(1)}: not formatted (clang-format -i)"
    if run.returncode and not seen:
        yield run.stderr.strip()


if __name__ == "__main__":
    tree.main(check)
