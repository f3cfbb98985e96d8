#!/usr/bin/env python3
"""Every verb, option and field of JSON has its place in the manual.

manual_verbs.py WOODSHED WOODSHED.1 TREE: the verbs and options are those that --help tells, the
fields those that the functions below write.
"""

import pathlib
import re
import subprocess
import sys

# Who writes an object, and what its paragraph under JSON holds and no other does.
OBJECTS = [
    ("engine/cli/progress.c", "show_json", "while it works"),
    ("engine/cli/render.c", "show_json", "Then for each take"),
    ("engine/cli/verify.c", "tell_json", ".Cm recipe Fl -verify Fl -json"),
    ("engine/cli/denoise.c", "tell_json", ".Cm denoise Fl -json"),
    ("engine/cli/denoise.c", "tell_band_json", ".Cm denoise Fl -json"),
    ("engine/cli/queue.c", "tell_forecast", ".Cm queue Fl -dry-run"),
    ("tui/verb_export.c", "tell_json", ".Cm export Fl -json"),
    ("tui/verb_export.c", "tell_summary", ".Cm export Fl -json"),
    ("tui/verb_play.c", "print_device", ".Cm play Fl -list-devices"),
    ("tui/verb_pull.c", "show_json", ".Cm pull Fl -json"),
    ("tui/verb_pull.c", "show_result", "and in the end:"),
    ("tui/verbs.c", "model_json", ".Cm models Fl -json"),
    ("library/queue.c", "job_json", "give jobs:"),
    ("library/takes.c", "take_json", ".Cm takes\ngives"),
]

missing = []


def demand(found, what):
    if not found:
        missing.append(what)


def sections(text):
    """Of .Sh and .Ss, by their titles."""
    parts = re.split(r"^\.S[hs] (.*)\n", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def options_of(*words):
    shown = subprocess.run(words + ("--help",), check=True, capture_output=True, text=True).stdout
    return re.findall(r"^  (?:-., |    )--([a-z-]+)", shown, flags=re.M)


def has_option(text, option):
    return re.search(rf"(?:Fl|,) -{option}(?![a-z-])", text)


def check_options(woodshed, manual):
    everywhere = options_of(woodshed)
    listed = subprocess.run([woodshed, "--help"], check=True, capture_output=True, text=True).stdout
    synopsis = manual["SYNOPSIS"].split(".Nm\n")
    for option in everywhere:
        demand(has_option(manual["Before any verb"], option), f"--{option}, before any verb")
    for verb in re.findall(r"^  ([a-z]+)\b", listed, flags=re.M):
        usage = [u for u in synopsis if re.search(rf"^\.Cm .*\b{verb}\b", u, flags=re.M)]
        text = "".join(t for title, t in manual.items() if verb in re.split(r", ", title))
        own = [o for o in options_of(woodshed, verb) if o not in everywhere]
        demand(usage and text, f"the verb {verb}, in SYNOPSIS and a section of its own")
        if verb == "recipe":
            own += [o for o in options_of(woodshed, verb, "--verify") if o not in everywhere]
        if verb == "queue":
            text += manual["render"]
        if "json" in own:
            demand(re.search(rf"^\.Cm .*\b{verb}\b", manual["JSON"], flags=re.M), f"{verb}, under JSON")
        for option in own:
            demand(has_option(text, option), f"{verb} --{option}, in its section")
            demand(
                any(" options\n" in u or has_option(u, option) for u in usage),
                f"{verb} --{option}, in SYNOPSIS",
            )


def check_objects(tree, manual):
    paragraphs = manual["JSON"].split("\n.Pp\n")
    words = [" ".join(re.findall(r"^\..*\bLi .*$", p, flags=re.M)) for p in paragraphs]
    for file, function, place in OBJECTS:
        source = (tree / file).read_text()
        body = re.search(rf"^[a-z][^\n]*\b{function}\(.*?^}}", source, flags=re.M | re.S)
        told = [w for p, w in zip(paragraphs, words) if place in p]
        demand(body, f"{function}() in {file}, which this test looks for")
        demand(len(told) == 1, f"one paragraph under JSON that holds '{place}'")
        for key in re.findall(r'(?:jsonw_\w+|id_or_null)\([&\w]+, "(\w+)"', body[0] if body else ""):
            demand(told and re.search(rf"\b{key}\b", told[0]), f"'{key}' of {file}, under JSON")


def main():
    woodshed, manual = sys.argv[1], sections(pathlib.Path(sys.argv[2]).read_text())
    check_options(woodshed, manual)
    check_objects(pathlib.Path(sys.argv[3]), manual)
    for what in missing:
        print(f"the manual lacks {what}")
    return bool(missing)


if __name__ == "__main__":
    sys.exit(main())
