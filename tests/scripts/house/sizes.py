#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""sizes.py ROOT: no header is too long, no function is, and no type's name is given twice."""
import sys
from statistics import median

from sources import parsed, report

MOST_LINES, MEDIAN_LINES, MOST_FUNCTION = 450, 130, 60

faults, names, lengths = [], {}, []
functions = 0
for name, header in parsed(sys.argv[1]).items():
    lengths.append(len(header.lines))
    if lengths[-1] > MOST_LINES:
        faults.append(f"{name}: {lengths[-1]} lines, at most {MOST_LINES}")
    for function in header.functions:
        functions += 1
        if function.lines > MOST_FUNCTION:
            faults.append(f"{name}:{function.line}: {function.name} has {function.lines} lines, at most {MOST_FUNCTION}")
    for type_ in header.types:
        names.setdefault(type_.name, []).append((f"{name}:{type_.line}", type_))
for name, found in names.items():
    # What users name is told apart by its namespace: larder::Options, larder::redis::Options.
    if len(found) > 1 and not (all(t.public for _, t in found) and len({t.namespace for _, t in found}) == len(found)):
        faults.append(f"{name} is declared more than once: " + ", ".join(place for place, _ in found))
if median(lengths) > MEDIAN_LINES:
    faults.append(f"the median header has {median(lengths):g} lines, at most {MEDIAN_LINES}")
report(faults, f"{len(lengths)} headers of at most {max(lengths)} lines, median {median(lengths):g}; "
               f"{functions} functions; {len(faults)} faults")
