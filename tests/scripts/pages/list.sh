#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# tests/scripts/pages/list.sh: the project's pages, one a line, as paths from the top of the tree.
set -euo pipefail
cd "$(dirname "$0")/../../.."
echo README.md
find .github examples include tests -name '*.md' -not -path '*/build/*' | LC_ALL=C sort
