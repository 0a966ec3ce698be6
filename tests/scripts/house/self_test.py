#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""self_test.py: each check passes a small tree that is in order, and finds what is put wrong in it."""
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
TREE = {
    "fwd.hpp": """
namespace larder {
struct Price;
template <class K>
class Shelf;
}
""",
    "price.hpp": """
#include <string>
namespace larder {
/// "{" and '}' in comments and literals are no braces.
struct Price {
    /// In cents.
    int cents{0};
    /// As text.
    std::string text() const { return "}{" + std::string(1, '{'); }
};
}
""",
    "shelf.hpp": """
#include <larder/price.hpp>
#include <vector>
namespace larder {
/// Keeps prices.
template <class K>
class Shelf {
public:
    Shelf() = default;
    /// One of n.
    explicit Shelf(int n) : all_{}, n_{n} {
        if (n > 0) { all_.reserve(1); }
    }
    /// How many, and whether there are none.
    int size() const { return n_; }
    bool empty() const { return n_ == 0; }

private:
    void grow() { ++n_; }
    std::vector<Price> all_;
    int n_{0};
};
template <class K>
Shelf(K, ...) -> Shelf<K>;
}
""",
    "detail/till.hpp": """
#include <larder/price.hpp>
namespace larder::detail {
template <class T>
concept Priced = requires(T t) { t.cents; };
struct Till {
    int count(const Price& price) { return price.cents; }
};
}
""",
}
TABLE = """
words | fwd price   |
inner | detail/*    | words
shelf | shelf       | up to inner
"""
LONG = "".join(f"    n_ += {i};\n" for i in range(60))
# check, file, what is replaced, by what, what the check must say
FAULTS = [
    ("layers", "price.hpp", "#include <string>", "#include <string>\n#include <larder/shelf.hpp>", "words may not include shelf"),
    ("layers", "detail/till.hpp", "price.hpp>", "shelf.hpp>", "inner may not include shelf"),
    ("layers", "fwd.hpp", "\n", "\n#include <larder/price.hpp>\n", None),
    ("layers", "new/thing.hpp", "", "\n", "new/thing.hpp: in no layer"),
    ("layers", "price.hpp", "#include <string>", "#include <larder/price.hpp>", "a circle: price.hpp -> price.hpp"),
    ("sizes", "price.hpp", "\n#include", "\n" * 450 + "#include", "price.hpp: 4"),
    ("sizes", "shelf.hpp", "++n_;", "\n" + LONG, "grow has 62 lines"),
    ("sizes", "shelf.hpp", "all_.reserve(1);", "\n" + LONG, "Shelf has "),
    ("sizes", "detail/till.hpp", "Till", "Price", "Price is declared more than once"),
    ("sizes", "detail/till.hpp", "struct Till {", "using Shelf = int;\nstruct Till {", "Shelf is declared more than once"),
    ("comments", "shelf.hpp", "    /// One of n.\n", "", "Shelf has no comment"),
    ("comments", "shelf.hpp", "    /// How many, and whether there are none.\n", "\n", "empty has no comment"),
    ("comments", "price.hpp", "    /// As text.\n", "    /// As text.\n\n", "text has no comment"),
    ("includes", "price.hpp", "#include <string>\n", "", "std::string, and no #include <string>"),
    ("includes", "shelf.hpp", "#include <larder/price.hpp>\n", "", "Price, and no #include of price.hpp"),
    ("includes", "price.hpp", "int cents{0};", "std::nonesuch cents;", "std::nonesuch is not in std_headers.txt"),
    ("fwd", "fwd.hpp", "struct Price;", "", "Price is not in fwd.hpp"),
    ("fwd", "fwd.hpp", "struct Price;", "struct Price;\nstruct Rice;", "Rice is defined nowhere"),
]


def result_of(check, tree):
    with tempfile.TemporaryDirectory() as root:
        for name, text in tree.items():
            path = Path(root, "include/larder", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        Path(root, "layers.txt").write_text(TABLE, encoding="utf-8")
        table = [str(Path(root, "layers.txt"))] if check == "layers" else []
        done = subprocess.run([sys.executable, "-B", str(HERE / f"{check}.py"), root, *table],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr


failed = 0
for check in ("layers", "sizes", "comments", "includes", "fwd"):
    code, output = result_of(check, TREE)
    if code:
        failed += 1
        print(f"{check} finds fault with what is in order:\n{output}")
for check, name, old, new, expected in FAULTS:
    code, output = result_of(check, {**TREE, name: TREE.get(name, "").replace(old, new, 1) if old else new})
    wanted = expected is not None
    if (code != 0) != wanted or wanted and expected not in output:
        failed += 1
        print(f"{check} of a changed {name} should {'say: ' + expected if wanted else 'be content'}\n{output}")
print(f"{len(FAULTS)} faults tried, {failed} not found as such")
sys.exit(failed > 0)
