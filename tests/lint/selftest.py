#!/usr/bin/env python3
"""Plants one violation per rule in a small tree and expects each check to name
its file and line, and to be silent about the clean tree."""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent

CLEAN = {
    ".clang-format": (HERE.parents[1] / ".clang-format").read_text(),
    "library/base/err.h": "int err_code(void);\n",
    "library/library.h": '#include "library/base/err.h"\n#include <stdio.h>\n',
    "gpu/gpu.h": "#include <stdint.h>\nint64_t gpu_count(void);\n",
    "gpu/ops.h": '#include "gpu/gpu.h"\n',
    "engine/net.c": '#include "gpu/gpu.h"\n/* "quoted" // printf("x"); system(1) */\n'
    'const char *s = "exit(1) // ";\n',
    "engine/cli/main.c": '#include "library/base/err.h"\n#include <stdio.h>\n\n'
    "int main(void)\n{\n\tprintf(\"%d\\n\", err_code());\n\treturn 0;\n}\n",
    "scripts/run": "#!/bin/sh\necho hello\n",
    # What meson tells of a build folder, which here is the tree itself; @ stands for its path.
    "meson-info/intro-tests.json": '[{"name": "t", "suite": ["x:unit"], "cmd": ["/bin/sh"]}]\n',
    "meson-info/intro-buildoptions.json": '[{"name": "cuda", "value": "emulated"}]\n',
    "meson-info/intro-targets.json": '[{"filename": ["@/x"], "target_sources": '
    '[{"sources": ["@/engine/net.c", "@/engine/cli/main.c"]}]}]\n',
}

# check, file that replaces or joins the clean tree, its text, expected finding
PLANTED = [
    ("includes", "library/base/x.h", '\n#include "library/library.h"\n', "library/base/x.h:2:"),
    ("includes", "library/x.h", '#include "gpu/gpu.h"\n', "library/x.h:1:"),
    ("includes", "library/x.h", "#include <ncurses.h>\n", "library/x.h:1:"),
    ("includes", "library/base/x.h", "#include <sndfile.h>\n", "library/base/x.h:1:"),
    ("includes", "gpu/x.h", '#include "library/library.h"\n', "gpu/x.h:1:"),
    ("includes", "gpu/x.h", "#include <cuda_runtime.h>\n", "gpu/x.h:1:"),
    ("includes", "engine/x.h", '#include "library/library.h"\n', "engine/x.h:1:"),
    ("includes", "engine/x.h", '#include "gpu/ops.h"\n', "engine/x.h:1:"),
    ("includes", "engine/nets/x.h", "#include <sndfile.h>\n", "engine/nets/x.h:1:"),
    ("includes", "engine/cli/x.h", '/*\n*/\n#include "tui/tui.h"\n', "engine/cli/x.h:3:"),
    ("includes", "tui/x.h", '#include "engine/engine.h"\n', "tui/x.h:1:"),
    ("includes", "tui/x.h", '  #  include "gpu/gpu.h"\n', "tui/x.h:1:"),
    ("includes", "gpu/x.h", '#include "gpu.h"\n', "gpu/x.h:1:"),
    ("includes", "elsewhere/x.c", "int x;\n", "elsewhere/x.c:1:"),
    ("headers", "gpu/x.h", "size_t n(void);\n", "gpu/x.h:1:"),
    ("headers", "gpu/gpu.h", "int class(void);\n", "gpu/gpu.h:1: does not compile alone as C++"),
    ("format", "gpu/x.h", "int a(void);\nint  b( void );\n", "gpu/x.h:2:"),
    ("banned", "tui/x.c", "int f(char *s)\n{\n\treturn atoi(s);\n}\n", "tui/x.c:3:"),
    ("banned", "engine/x.c", "int f(void)\n{\n\texit(1);\n}\n", "engine/x.c:3:"),
    ("banned", "gpu/x.c", '#include <stdio.h>\nint f(void)\n{\n\treturn fputs("", stderr);\n}\n',
     "gpu/x.c:4:"),
    ("banned", "library/base/arena.c", "void f(void)\n{\n\tabort();\n\texit(1);\n}\n",
     "library/base/arena.c:4:"),
    ("shell", "scripts/run", "#!/bin/sh\nif true; then\n", "scripts/run:1:"),
    ("files", "docs/x.md", "text \n", "docs/x.md:1: trailing"),
    ("files", "docs/x.md", "text", "docs/x.md:1: no newline"),
    ("files", "docs/x.md", "\n[y](y.md) and [z](https://example.org/z)\n", "docs/x.md:2: links"),
    ("files", "docs/x.md", "\n" * 2001, "docs/x.md:2000:"),
    ("files", "docs/x.md", "see /" + "work/x\n", "docs/x.md:1: a path"),
    ("files", "docs/x.md", "\nsee ../" + "shared/y\n", "docs/x.md:2: a path"),
    ("files", "docs/x.md", "https:/" + "/pypi.corp.internal/simple\n", "docs/x.md:1: host"),
    ("files", "docs/x.md", "\nhttp:/" + "/proxy:3128\n", "docs/x.md:2: host"),
    ("built", "engine/forgotten.c", "int x;\n", "engine/forgotten.c:1: in no target"),
    ("built", "meson-info/intro-tests.json", '[{"name": "t", "suite": ["x:odd"], "cmd": ["/t"]}]',
     "t: suite odd"),
    ("built", "meson-info/intro-tests.json", '[{"name": "t", "suite": ["x:ops"], "cmd": ["/t"]}]',
     "t: /t does not exist"),
]


def run(check, files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text.replace("@", str(root.resolve())))
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        subprocess.run(["git", "add", "-A"], cwd=root, check=True)
        script = [sys.executable, str(HERE / f"{check}.py"), str(root)]
        script += [str(root)] if check == "built" else []
        return subprocess.run(script, capture_output=True, text=True)


def main():
    failed = 0
    for check in sorted({row[0] for row in PLANTED}):
        result = run(check, CLEAN)
        if result.returncode == 77:
            print(f"{check}: not tried: {result.stdout.strip()}")
        elif result.returncode:
            failed += 1
            print(f"{check}: finds fault with a clean tree:\n{result.stdout}{result.stderr}")
    for check, name, text, expected in PLANTED:
        result = run(check, {**CLEAN, name: text})
        if result.returncode != 77 and (result.returncode != 1 or expected not in result.stdout):
            failed += 1
            print(f"{check}: expected '{expected}', got:\n{result.stdout}{result.stderr}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
