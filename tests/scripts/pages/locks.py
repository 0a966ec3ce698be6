#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""locks.py ROOT: each header that has a mutex is named in the section Locks of include/larder/README.md, and no other."""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
PAGE = ROOT / "include/larder/README.md"
MUTEX = re.compile(r"^\s*(?:mutable )?(?:std::\w*mutex|ForkLocal<std::\w*mutex>|SequenceLock) \w+", re.MULTILINE)

section = re.search(r"^## Locks\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL).group(1)
named = set(re.findall(r"`([\w/]+\.hpp)`", section))
has = {path.relative_to(ROOT / "include/larder").as_posix() for path in (ROOT / "include/larder").rglob("*.hpp")
       if MUTEX.search(re.sub(r"//.*", "", path.read_text(encoding="utf-8")))}
faults = [f"{name} has a mutex, and is not in the section Locks" for name in has - named]
faults += [f"{name} is in the section Locks, and has no mutex" for name in named - has]
for fault in sorted(faults):
    print(fault)
print(f"{len(has)} headers with a mutex, {len(faults)} faults")
sys.exit(bool(faults))
