"""What the lint checks share: the tracked files of a tree, C without comments,
and findings printed as file:line."""
import pathlib
import re
import subprocess
import sys

SKIPPED = 77


def main(check):
    """Runs check(root), which yields findings; the exit status of a test."""
    root = pathlib.Path(sys.argv[1]).resolve()
    findings = list(check(root))
    for finding in findings:
        print(finding)
    sys.exit(1 if findings else 0)


def skip(reason):
    print(reason)
    sys.exit(SKIPPED)


def tracked(root, *patterns):
    """Paths relative to root, as text, of tracked files that exist."""
    git = ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files", "-z", "--"]
    try:
        out = subprocess.run(git + list(patterns), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        skip("not a git checkout: the list of files is unknown")
    return sorted(p for p in out.stdout.split("\0") if p and (root / p).is_file())


def c_files(root):
    return tracked(root, "*.c", "*.h", "*.cu", "*.cuh")


TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S
)


def code_only(text):
    """C with comments blanked and literals emptied; lines keep their numbers."""

    def blank(match):
        token = match.group()
        if token[0] in "\"'":
            return token[0] * 2
        return "\n" * token.count("\n") or " "

    return TOKEN.sub(blank, text)
