#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fwd.py ROOT: fwd.hpp declares every class and class template that users name, and nothing else.

Users name what stands in namespace larder, or one that is not `detail`, outside of the folders detail/. Aliases,
concepts and enumerations have no declaration that stands for them (an enumeration's has, but is as cheap as its use).
"""
import re
import sys

from sources import parsed, report

found = parsed(sys.argv[1])
declared = {(t.namespace, t.name): t.line for t in found["fwd.hpp"].forward if t.public}
defined = {}
for name, header in found.items():
    if "detail/" in name or name == "fwd.hpp":
        continue
    for type_ in header.types:
        first = header.code.splitlines()[type_.line - 1:]
        head = re.split(r"[{;]", "\n".join(first[:12]))[0]
        if type_.public and re.search(rf"\b(class|struct) (\[\[.*\]\] )?{type_.name}\b", head) and "enum" not in head:
            defined[(type_.namespace, type_.name)] = f"{name}:{type_.line}"
spell = "::".join
faults = [f"{place}: {spell(filter(None, key))} is not in fwd.hpp" for key, place in defined.items() if key not in declared]
faults += [f"fwd.hpp:{line}: {spell(filter(None, key))} is defined nowhere" for key, line in declared.items() if key not in defined]
report(faults, f"{len(defined)} classes of users, {len(declared)} declared, {len(faults)} faults")
