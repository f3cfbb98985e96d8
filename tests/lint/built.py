#!/usr/bin/env python3
"""No C file is left out of the build, but those of the CUDA module in a build that does not
emulate it and what needs CUPTI; every registered test is in a known suite, and its program
or script exists or is built.

built.py ROOT BUILD
"""
import json
import pathlib
import sys

import tree

SUITES = {"unit", "ops", "parity", "faults", "threads", "audio", "tui", "lint", "fuzz", "slow", "long", "device"}

# Only in a build with the emulated device.
EMULATED = (
    "gpu/cuda/",
    "tests/emulation/",
    "tests/faults/other_version.c",
    "tests/ops/opening.c",
)

# Only where CUDA's toolkit has CUPTI, which its emulation has not.
CUPTI = ("tests/gpu/trace.c",)


def check_sources(root, targets, is_emulated):
    compiled = {
        source
        for target in targets
        for part in target["target_sources"]
        for source in part.get("sources", [])
    }
    for path in tree.tracked(root, "*.c", "*.cu"):
        if not is_emulated and str(path).startswith(EMULATED):
            continue
        if path not in CUPTI and str(root / path) not in compiled:
            yield f"{path}:1: in no target"


def check_tests(tests, targets):
    built = {name for target in targets for name in target["filename"]}
    for test in tests:
        suites = {suite.rpartition(":")[2] for suite in test["suite"]}
        if not suites or not suites <= SUITES:
            yield f"{test['name']}: suite {', '.join(suites) or 'none'} is not known"
        for word in test["cmd"][:2]:
            if word.startswith("/") and word not in built and not pathlib.Path(word).exists():
                yield f"{test['name']}: {word} does not exist"


def check(root):
    info = pathlib.Path(sys.argv[2]) / "meson-info"
    targets = json.loads((info / "intro-targets.json").read_text())
    options = json.loads((info / "intro-buildoptions.json").read_text())
    is_emulated = any(o["name"] == "cuda" and o["value"] == "emulated" for o in options)
    yield from check_sources(root, targets, is_emulated)
    yield from check_tests(json.loads((info / "intro-tests.json").read_text()), targets)


if __name__ == "__main__":
    tree.main(check)
