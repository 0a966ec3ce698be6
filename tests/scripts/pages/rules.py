#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rules.py ROOT: each rule of the protocol has a header that keeps it and a test that shows it.

The rules are those of include/larder/detail/README.md (`- **S1** …`). The last table of include/larder/README.md has a
row for each, with headers and functions, tests, and flags of a model. The headers and tests named there, and no other
file, must cite the rule (`Rule S1`, `Rules S1, S4 and T2`), the functions must be in their headers, the flags in their model.
"""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
RULE = r"[SRTWN]\d+"
CITED = re.compile(rf"\brules? ({RULE}(?:(?:, | and ){RULE})*)\b", re.IGNORECASE)


def text_of(path):
    return path.read_text(encoding="utf-8")


def cited_in(path):
    return {rule for match in CITED.finditer(text_of(path)) for rule in re.findall(RULE, match.group(1))}


def code_of(path):
    return re.sub(r"//.*", "", text_of(path))


protocol, table = ROOT / "include/larder/detail/README.md", ROOT / "include/larder/README.md"
rules = re.findall(rf"^- \*\*({RULE})\*\* ", text_of(protocol), re.MULTILINE)
faults = [f"{rule} is there twice" for rule in set(rules) if rules.count(rule) > 1]
cited = {path: cited_in(path) for folder in ("include", "tests") for path in (ROOT / folder).rglob("*")
         if path.suffix in (".hpp", ".cpp")}
seen, places = set(), 0
for line in text_of(table).splitlines():
    cells = [cell.strip() for cell in line.strip("|").split(" | ")] if re.match(rf"\|.*\| {RULE} \|", line) else []
    if not cells:
        continue
    _, rule, kept, shown, model = [*cells, ""][:5]
    seen.add(rule)
    headers = [ROOT / "include/larder" / name for name in re.findall(r"`([\w/]+\.hpp)`", kept)]
    tests = [ROOT / "tests" / name for name in re.findall(r"`([\w/]+\.[hc]pp)`", shown)]
    if not headers or not tests:
        faults.append(f"{rule}: no header, or no test")
    for path in headers + tests:
        places += 1
        if path not in cited:
            faults.append(f"{rule}: there is no {path.relative_to(ROOT)}")
        elif rule not in cited[path]:
            faults.append(f"{rule}: {path.relative_to(ROOT)} does not cite it")
    for name, function in re.findall(r"`([\w/]+\.hpp)` `(\w+)`", kept):
        path = ROOT / "include/larder" / name
        if path in cited and not re.search(rf"\b{function}\b", code_of(path)):
            faults.append(f"{rule}: {name} has no {function}")
    words = model.replace(",", "").split()
    if words:
        source = ROOT / "tests/models" / f"{words[0]}.pml"
        known = text_of(source) if source.exists() else ""
        faults += [f"{rule}: {words[0]}.pml has no {flag}" for flag in words[1:] if not re.search(rf"-D{flag}\b", known)]
        if not known:
            faults.append(f"{rule}: there is no {source.relative_to(ROOT)}")
faults += [f"{rule}: no row in {table.relative_to(ROOT)}" for rule in rules if rule not in seen]
faults += [f"{table.relative_to(ROOT)}: no rule is {rule}" for rule in seen - set(rules)]
for path, found in cited.items():
    faults += [f"{path.relative_to(ROOT)}: no rule is {rule}" for rule in found - set(rules)]
for fault in sorted(faults):
    print(fault)
print(f"{len(rules)} rules, kept and shown in {places} places, {len(faults)} faults")
sys.exit(bool(faults))
