#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""spelling.py ROOT: every word of the pages, and of the comments in code, is English or one of words.txt.

Asks aspell for British English. 77 where it is not there. What is code is not looked at: blocks, `spans`, names with
capitals inside, digits, underscores or colons, and what is quoted in comments.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
SKIPPED = {"build", ".git", "corpus"}
COMMENTS = {
    ".hpp": r"//[/<]*(.*)", ".cpp": r"//[/<]*(.*)", ".pml": r"^(?:/\*| \*)(.*)|/\*(.*)\*/",
    ".sh": r"^\s*#(?!!|include|if|endif|else|define)(.*)", ".cmake": r"^\s*#(.*)", ".txt": r"^\s*#(.*)", ".py": r"^\s*#(?!!)(.*)", ".yml": r"^\s*#(.*)",
}
NOT_PROSE = [
    r"`[^`]*`", r"\]\([^)]*\)", r"<[^>]*>", r"\"[^\"]*\"", r"[a-z]+://\S*", r"[@$\\]\w+", r"--?\w[\w-]*",
    r"[\w/.*-]*[/.]\w[\w/.*-]*",           # paths, members
    r"\w*(?:[A-Z0-9_]\w*[A-Z0-9_]|[0-9_])\w*",  # NAMES, NamesInside, names_2
    r"\w+::[\w:]+", r"\w+\(", r"\b[a-z]\b",
]


def prose(path):
    """Pairs of a line's number and what of it is prose."""
    inside = False
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if path.suffix != ".md":
            match = re.search(COMMENTS[path.suffix], line)
            if not match or "SPDX" in line:
                continue
            line = next(filter(None, match.groups()), "")
        if line.strip().startswith("```"):
            inside = not inside
        elif not inside:
            for pattern in NOT_PROSE:
                line = re.sub(pattern, " ", line)
            yield number, line


def main():
    if not shutil.which("aspell") or "en_GB" not in subprocess.run(["aspell", "dicts"], capture_output=True, text=True).stdout:
        print("skipped: there is no aspell for English (apt install aspell aspell-en)")
        sys.exit(77)
    root = Path(sys.argv[1]).resolve()
    files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix in {".md", *COMMENTS}
             and not SKIPPED & set(path.relative_to(root).parts) and path.name not in {"words.txt", "std_headers.txt"}]
    own = {word.strip().lower() for line in (HERE / "words.txt").read_text(encoding="utf-8").splitlines()
           for word in line.partition("#")[0].split()}
    places = {}
    for path in files:
        for number, line in prose(path):
            for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", line):
                places.setdefault(word.removesuffix("'s").removesuffix("'"), f"{path.relative_to(root)}:{number}")
    asked = [word for word in places if word.lower() not in own]
    unknown = subprocess.run(["aspell", "list", "-l", "en_GB", "--encoding=utf-8", "--ignore=2"], input="\n".join(asked), text=True,
                             capture_output=True, check=True).stdout.split()
    faults = [f"{places[word]}: {word}" for word in unknown if word in places]
    for fault in faults:
        print(fault)
    print(f"{len(files)} files, {len(places)} words, {len(own)} of our own, {len(faults)} faults")
    sys.exit(bool(faults))


main()
