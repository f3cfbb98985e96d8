#!/usr/bin/env python3
"""Every registered test is in a known suite, and its program or script exists
or is built.

suites.py BUILD
"""
import json
import pathlib
import sys

KNOWN = {"unit", "ops", "parity", "faults", "threads", "lint", "fuzz", "slow"}


def main(build):
    info = build / "meson-info"
    built = set()
    for target in json.loads((info / "intro-targets.json").read_text()):
        built.update(target["filename"])
    findings = []
    for test in json.loads((info / "intro-tests.json").read_text()):
        suites = {suite.rpartition(":")[2] for suite in test["suite"]}
        if not suites or not suites <= KNOWN:
            findings.append(f"{test['name']}: suite {', '.join(suites) or 'none'} is not known")
        files = [x for x in test["cmd"] if x.startswith("/")]
        findings += [
            f"{test['name']}: {x} does not exist"
            for x in files[:2]
            if x not in built and not pathlib.Path(x).exists()
        ]
    print("\n".join(findings))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
