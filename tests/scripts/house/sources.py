# SPDX-License-Identifier: MIT
"""The headers of larder as the house's checks see them: text without comments, includes, types, functions.

No compiler: braces are matched and what stands before them is read. That is enough for code that
clang-format has laid out.
"""
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

BLANK = re.compile(r"[^\n]")
LITERAL = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<end>[^(\s]*)\(.*?\)(?P=end)"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'", re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
MACRO_LINE = re.compile(r"^LARDER_[A-Z_]+(\([^\n]*\))?$", re.MULTILINE)


def blank(match):
    return BLANK.sub(" ", match.group())


def code_of(text):
    """The text with comments, literals and directives blanked out; every position and line stays."""
    return MACRO_LINE.sub(blank, DIRECTIVE.sub(blank, LITERAL.sub(blank, text)))


@dataclass
class Scope:
    kind: str  # namespace, type, enum, function, or other
    name: str
    start: int  # where what stands before the brace begins
    access: str = "public"
    hidden: bool = False  # within something private, or a namespace detail
    specialised: bool = False
    paren: int = 0


@dataclass
class Function:
    name: str
    line: int
    lines: int  # from its first line to its closing brace
    public: bool  # for users: not in a namespace detail, nor within something private
    verb: bool  # a public member of a type, wherever that is
    generated: bool  # = default, = delete


@dataclass
class Type:
    name: str
    line: int
    namespace: str
    public: bool
    template: bool = False


@dataclass
class Header:
    path: Path
    name: str  # as an #include has it, without larder/
    text: str
    code: str
    functions: list = field(default_factory=list)
    types: list = field(default_factory=list)
    forward: list = field(default_factory=list)  # types that are declared, not defined

    @property
    def lines(self):
        return self.text.splitlines()

    def line_of(self, position):
        return self.code.count("\n", 0, position) + 1

    def includes(self):
        """Pairs of line and name, of larder's own headers without larder/."""
        for match in re.finditer(r"^[ \t]*#[ \t]*include[ \t]*[<\"]([^>\"]+)[>\"]", self.text, re.MULTILINE):
            yield self.text.count("\n", 0, match.start()) + 1, match.group(1).removeprefix("larder/")


def without_angles(text):
    """The text without template arguments and what is between them."""
    text = text.replace("->", "  ").replace("<=>", "   ").replace("<<", "  ").replace(">=", "  ").replace("<=", "  ")
    text = re.sub(r"operator\s*[<>]", "operator ", text)
    before = None
    while before != text:
        before = text
        text = re.sub(r"<[^<>]*>", lambda match: " " * len(match.group()), text)
    return text


def bare(head):
    """What declares: without template parameters, requires-clauses in front, attributes and specifiers."""
    head = re.sub(r"\[\[.*?\]\]|\balignas\s*\([^()]*\)", " ", without_angles(head), flags=re.DOTALL)
    return " ".join(head.split())


def is_requires_expression(head):
    # The `requires` of an expression follows an operator; that of a clause does not.
    return re.search(r"(?:requires|=|&&|\|\||\(|!)\s*requires\s*(?:\([^{}]*\))?\s*$", head) is not None


def is_member_initialiser(head):
    return re.search(r"\)[^;{}()]*[^:]:[^:].*[\w>]\s*$|\)[^;{}()]*[^:]:[^:]\s*[\w:<>, ]+$", head, re.DOTALL) is not None


def function_name(declaration):
    for match in re.finditer(r"(operator\s*(?:\(\s*\)|\[\s*\]|[^\w\s(]+|\w[\w: ]*)|~?\w+)\s*\(", declaration):
        if match.group(1) not in ("decltype", "requires", "noexcept", "explicit", "alignas"):
            return match.group(1)
    return None


def kind_of(head, parent, paren):
    if parent not in ("namespace", "type") or paren:
        return "other", ""
    if is_requires_expression(head):
        return "other", ""
    plain = bare(head)
    if match := re.match(r"(?:inline )?namespace ?([\w:]*)", plain):
        return "namespace", match.group(1)
    if match := re.match(r"enum (?:class |struct )?(\w+)", plain):
        return "enum", match.group(1)
    if match := re.search(r"\b(?:class|struct|union) ([\w:]+)", plain):
        if "(" not in plain[: match.end()]:
            return "type", match.group(1)
    if "(" in plain and not re.search(r"(?<!operator)(?<![=!<>])=(?!=)", plain.split("(")[0]):
        if re.match(r"(?:template )?concept\b", plain) or is_member_initialiser(plain):
            return "other", ""
        return "function", function_name(plain) or "?"
    return "other", ""


def parse(header):
    code = header.code
    scopes = [Scope("namespace", "", 0)]
    start, paren, index = 0, 0, 0

    def declared(begin, end, body_end=None):
        """A function of a namespace or a type, if it is one."""
        scope, head = scopes[-1], code[begin:end]
        plain = bare(head)
        if body_end is None:
            if re.match(r"(using|typedef|friend|static_assert|extern|concept|return)\b", plain):
                return
            if "(" not in plain or re.search(r"(?<!operator)(?<![=!<>])=(?!=)", plain.split("(")[0]):
                return
        name = function_name(plain)
        if not name or name.isupper() or plain.startswith("friend"):
            return
        if "->" in head and re.match(r"(template )*(explicit )?\w+ *\(", plain) and scope.kind == "namespace":
            return  # a deduction guide
        first = begin + len(head) - len(head.lstrip())
        header.functions.append(Function(
            name, header.line_of(first), header.line_of(body_end or end) - header.line_of(first) + 1,
            scope.access == "public" and not scope.hidden,
            scope.access == "public" and scope.kind == "type",
            re.search(r"=\s*(default|delete|0)\s*$", head) is not None))

    def named(begin, end, name, defined):
        scope, head = scopes[-1], code[begin:end]
        if scope.kind != "namespace" or not name:
            return
        first = begin + len(head) - len(head.lstrip())
        found = Type(name, header.line_of(first), "::".join(s.name for s in scopes if s.name),
                     not scope.hidden, "template" in head)
        (header.types if defined else header.forward).append(found)

    while index < len(code):
        char = code[index]
        scope = scopes[-1]
        if char == "(":
            paren += 1
        elif char == ")":
            paren -= 1
        elif char == "{":
            head = code[start:index]
            kind, name = kind_of(head, scope.kind, paren)
            if kind in ("type", "enum"):
                after = re.search(r"\b" + re.escape(name.split("::")[-1]) + r"\s*(<)?", head[head.rfind(
                    "enum" if kind == "enum" else "struct" if "struct " + name in bare(head) else "class"):])
                if not (after and after.group(1)):
                    named(start, index, name, True)
            hidden = scope.hidden or (scope.kind == "type" and scope.access != "public") or \
                (kind == "namespace" and name.split("::")[-1] == "detail")
            access = "private" if kind == "type" and re.search(r"\bclass " + re.escape(name), bare(head)) else "public"
            scopes.append(Scope(kind, name, start, access, hidden, paren=paren))
            start, paren = index + 1, 0
        elif char == "}":
            if len(scopes) == 1:
                raise SystemExit(f"{header.name}:{header.line_of(index)}: a brace too many")
            closed = scopes.pop()
            paren = closed.paren
            if closed.kind == "function":
                declared(closed.start, code.index("{", closed.start) if closed.start < index else index, index)
            start = index + 1 if closed.kind in ("function", "namespace") else closed.start
            if closed.kind == "other" and scopes[-1].kind not in ("namespace", "type"):
                start = index + 1
        elif char == ":" and scope.kind == "type" and code[start:index].strip() in ("public", "private", "protected"):
            scope.access = code[start:index].strip()
            start = index + 1
        elif char == ";" and not paren:
            statement = code[start:index]
            if scope.kind in ("namespace", "type"):
                plain = bare(statement)
                if match := re.search(r"^(?:template )?using (\w+) =", plain):
                    named(start, index, match.group(1), True)
                elif match := re.search(r"^(?:template )?(?:class|struct|enum|enum class) (\w+)(?: : [\w:]+)?$", plain):
                    named(start, index, match.group(1), False)
                elif match := re.search(r"^(?:template )?concept (\w+) =", plain):
                    named(start, index, match.group(1), True)
                elif "{" not in statement or not re.search(r"\b(class|struct|union|enum)\b", plain):
                    declared(start, index)
            start = index + 1
        index += 1
    if len(scopes) != 1:
        raise SystemExit(f"{header.name}: a brace is not closed")
    return header


def headers(root):
    """All headers below include/larder, parsed, by name."""
    base = Path(root) / "include" / "larder"
    found = {}
    for path in sorted(base.rglob("*.hpp")):
        text = path.read_text(encoding="utf-8")
        found[path.relative_to(base).as_posix()] = Header(path, path.relative_to(base).as_posix(), text, code_of(text))
    return found


def parsed(root):
    return {name: parse(header) for name, header in headers(root).items()}


def report(faults, summary):
    """Ends the check: what is wrong, one a line, then what was looked at."""
    for fault in faults:
        print(fault)
    print(summary)
    sys.exit(1 if faults else 0)
