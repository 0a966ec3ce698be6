#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""includes.py ROOT [TABLE]: every header includes what it uses, itself: not because another happens to.

Standard names are looked up in std_headers.txt; of larder's own, types, concepts and aliases that stand in a
namespace. What is only named may come from <larder/fwd.hpp>.
"""
import re
import sys
from pathlib import Path

from sources import parsed, report


def read_table(path):
    """For each standard name the headers that give it."""
    given = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        header, _, names = line.partition("#")[0].partition(":")
        for name in names.split():
            given.setdefault(name, set()).add(header.strip())
    return given


def standard_faults(header, given):
    included = set(re.findall(r"^#include <([^>]+)>", header.text, re.MULTILINE))
    seen = set()
    for match in re.finditer(r"\bstd::((?:\w+::)*)(\w+)", header.code):
        scopes, last = match.group(1), match.group(2)
        name = (scopes + last).split("::")[0]
        if name in ("chrono", "ranges", "this_thread", "numbers"):
            name = name + "::" + (scopes + last).split("::")[1] if scopes else name
        if name in seen:
            continue
        seen.add(name)
        line = header.line_of(match.start())
        if name.startswith("chrono"):
            headers = {"chrono"}
        else:
            headers = given.get(name)
        if headers is None:
            yield f"{header.name}:{line}: std::{name} is not in std_headers.txt"
        elif not headers & included:
            yield f"{header.name}:{line}: std::{name}, and no #include <{'> or <'.join(sorted(headers))}>"


def own_faults(header, homes, forward):
    included = {name for _, name in header.includes()}
    local = set(re.findall(r"\b(?:class|struct|enum|typename|using|concept)\s+(\w+)", header.code))
    local |= {word for parameters in re.findall(r"template <([^{};]*?)>\s*(?:class|struct|requires|\w)", header.code)
              for word in re.findall(r"\b\w+ (?:\.\.\.)?(\w+)\b", parameters)}
    local |= set(re.findall(r"\busing typename [\w:<>, ]*::(\w+);", header.code))
    seen = set()
    for match in re.finditer(r"(?<![\w.>:])\w+(?:::\w+)*", header.code):
        name = next((part for part in match.group().split("::") if part[0].isupper()), "")
        if match.group().startswith("std::") or name in seen or name not in homes or name in local:
            continue
        seen.add(name)
        if header.name in homes[name] or homes[name] & included or name in forward and "fwd.hpp" in included:
            continue
        yield f"{header.name}:{header.line_of(match.start())}: {name}, and no #include of {' or '.join(sorted(homes[name]))}"


root = Path(sys.argv[1])
given = read_table(Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).with_name("std_headers.txt"))
found = parsed(root)
homes = {}
for name, header in found.items():
    for type_ in header.types:
        homes.setdefault(type_.name, set()).add(name)
forward = {type_.name for type_ in found["fwd.hpp"].forward} if "fwd.hpp" in found else set()
faults = []
for header in found.values():
    faults += standard_faults(header, given)
    if "/" in header.name or len(list(header.includes())) < 12:  # an umbrella uses nothing
        faults += own_faults(header, homes, forward)
report(faults, f"{len(found)} headers, {len(given)} standard names, {len(homes)} of larder's own, {len(faults)} faults")
