#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""layers.py ROOT [TABLE]: every #include between larder's headers is one that the table of layers allows; none goes in a circle.

The table is that of the section Layers of include/larder/README.md, or of a file with lines of the same three columns,
`layer | headers | what it may include`.
"""
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from sources import headers, report


def read_table(path):
    """Layers in order: name, patterns, and the names of those it may include."""
    layers, in_section, seen_head = {}, path.suffix != ".md", path.suffix != ".md"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if path.suffix == ".md":
            if line.startswith("#"):
                in_section = line == "## Layers"
            if not in_section or not line.startswith("|"):
                continue
            if not seen_head:
                seen_head = set(line) <= set("|- ")
                continue
            line = line.strip("|").replace("`", "")
        line = line.partition("#")[0].strip()
        if not line:
            continue
        name, patterns, allowed = (part.strip() for part in line.split("|"))
        above, may = list(layers), {name}
        for word in filter(None, (part.strip() for part in allowed.split(","))):
            layer = word.removeprefix("up to ")
            if layer not in layers:
                sys.exit(f"{path.name}:{number}: {name} may include {layer}, which does not stand above it")
            may.update(above[: above.index(layer) + 1] if word.startswith("up to ") else [layer])
        layers[name] = (patterns.split(), may)
    return layers


def layer_of(header, layers):
    stem = header.removesuffix(".hpp")
    for name, (patterns, _) in layers.items():
        if stem in patterns:
            return name
    folder = stem.rpartition("/")[0]
    for name, (patterns, _) in layers.items():
        # A * is of one folder, or of what a folder hides: codec/* takes codec/detail too, redis/* does not.
        if any(fnmatchcase(stem, pattern) and (folder == pattern.rpartition("/")[0] or
               folder == pattern.rpartition("/")[0] + "/detail") for pattern in patterns if "*" in pattern):
            return name
    return None


def circle(edges):
    """Some headers that include each other in a circle, or nothing."""
    state = {}

    def visit(header, path):
        if state.get(header) == "done":
            return None
        if header in path:
            return path[path.index(header):] + [header]
        for other in edges.get(header, ()):
            if found := visit(other, path + [header]):
                return found
        state[header] = "done"
        return None

    for header in edges:
        if found := visit(header, []):
            return found
    return None


def main():
    root = Path(sys.argv[1])
    table = Path(sys.argv[2]) if len(sys.argv) > 2 else root / "include/larder/README.md"
    layers, found = read_table(table), headers(root)
    faults, edges, count, used = [], {}, 0, set()
    for name, header in found.items():
        layer = layer_of(name, layers)
        if layer is None:
            faults.append(f"{name}: in no layer of {table.name}")
            continue
        used.add(layer)
        for line, other in header.includes():
            if other not in found:
                continue  # a standard header, or another library's
            count += 1
            edges.setdefault(name, []).append(other)
            target = layer_of(other, layers)
            if target and target not in layers[layer][1]:
                faults.append(f"{name}:{line}: {layer} may not include {target} ({other})")
    if path := circle(edges):
        faults.append("a circle: " + " -> ".join(path))
    faults += [f"{table.name}: no header is of the layer {layer}" for layer in layers if layer not in used]
    report(faults, f"{len(found)} headers in {len(layers)} layers, {count} includes, {len(faults)} faults")


main()
