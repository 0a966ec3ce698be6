#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""comments.py ROOT: at least nine of ten public functions have a comment directly above.

Public is what users name: outside of detail/, and the verbs of PolicyBase. One-line functions that follow
one another without a gap share the comment above the first. What the compiler writes needs none.
"""
import sys

from sources import parsed, report

SHARE = 0.9
VERBS = "detail/policy_base.hpp"  # the base class of every policy


def is_commented(header, function, functions):
    above = header.lines[function.line - 2].strip()
    if above.startswith("//"):
        return True
    before = functions.get(function.line - 1)
    return before is not None and before.lines == 1 == function.lines and is_commented(header, before, functions)


misses, count = [], 0
for name, header in parsed(sys.argv[1]).items():
    if "detail/" in name and name != VERBS:
        continue
    functions = {function.line: function for function in header.functions}
    for function in header.functions:
        if function.generated or not (function.public or name == VERBS and function.verb):
            continue
        count += 1
        if not is_commented(header, function, functions):
            misses.append(f"{name}:{function.line}: {function.name} has no comment directly above")
share = 1 - len(misses) / max(count, 1)
for miss in misses:
    print(miss)
report([] if share >= SHARE else [f"too few: at least {SHARE:.0%} are wanted"],
       f"{count} public functions, {share:.1%} with a comment directly above")
