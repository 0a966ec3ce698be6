#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""links.py ROOT: every link of the pages leads somewhere, and every file and every name in code that a page names exists.

A link is `[text](path#heading)`; addresses with a scheme are not asked. A name is `some/file.hpp` in backticks, with
an ending of the kinds below: it must be the end of a path in the tree, or be under a folder that the page's own is in.
Any other word of four letters or more in backticks must stand in some source file. Code blocks are not looked at.
"""
import re
import subprocess
import sys
from pathlib import Path

ENDINGS = "hpp|cpp|sh|py|pml|md|cmake|svg|txt|yml"
SOURCES = {".hpp", ".cpp", ".sh", ".py", ".pml", ".cmake", ".txt"}
MADE_UP = {"quick.cpp", "PascalCase", "snake_case"}  # what a reader is to write


def without_blocks(text):
    """The text with its code blocks blanked, so that lines keep their numbers."""
    inside, lines = False, []
    for line in text.splitlines():
        fence = line.startswith("```")
        lines.append("" if inside or fence else line)
        inside ^= fence
    return lines


def anchor(heading):
    """As GitHub makes it of a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page):
    found, seen = set(), {}
    for line in without_blocks(page.read_text(encoding="utf-8")):
        if match := re.match(r"#+ (.*)", line):
            name = anchor(match.group(1))
            count = seen.get(name, 0)
            seen[name] = count + 1
            found.add(f"{name}-{count}" if count else name)
    return found


def main():
    root = Path(sys.argv[1]).resolve()
    pages = [root / line for line in subprocess.run([Path(__file__).with_name("list.sh")], check=True, text=True,
                                                    capture_output=True).stdout.split()]
    skipped = {"build", ".git"}
    files = {path.relative_to(root).as_posix() for path in root.rglob("*")
             if path.is_file() and path.relative_to(root).parts[0] not in skipped}
    ends = {"/".join(parts[i:]) for parts in (name.split("/") for name in files) for i in range(len(parts))}
    known = {word for name in files if Path(name).suffix in SOURCES
             for word in re.findall(r"\w+", (root / name).read_text(encoding="utf-8", errors="replace"))}
    known |= {Path(name).stem for name in files} | MADE_UP
    faults, links, names = [], 0, 0
    for page in pages:
        here = page.relative_to(root).as_posix()
        text = without_blocks(page.read_text(encoding="utf-8"))
        whole = "\n".join(text)
        line_of = lambda position: whole.count("\n", 0, position) + 1
        for match in re.finditer(r"\]\(([^)\s]+)\)", whole):
            target, _, fragment = match.group(1).partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            links += 1
            to = (page.parent / target).resolve() if target else page
            if not to.exists() or root not in [to, *to.parents]:
                faults.append(f"{here}:{line_of(match.start())}: {match.group(1)} is not there")
            elif fragment and fragment not in anchors(to):
                faults.append(f"{here}:{line_of(match.start())}: {target or here} has no heading #{fragment}")
        for match in re.finditer(rf"`((?:[\w.-]+/)*[\w-]+\.(?:{ENDINGS}))`", whole):
            names += 1
            if match.group(1) not in ends | MADE_UP:
                faults.append(f"{here}:{line_of(match.start())}: no file is named {match.group(1)}")
        for match in re.finditer(r"`([^`\n]+)`", whole):
            for word in re.findall(r"(?<!\w)(?:-D)?([A-Za-z]\w{3,})", match.group(1)):
                names += 1
                if word not in known:
                    faults.append(f"{here}:{line_of(match.start())}: nothing is named {word}")
    for fault in faults:
        print(fault)
    print(f"{len(pages)} pages, {links} links, {names} names, {len(faults)} faults")
    sys.exit(bool(faults))


main()
