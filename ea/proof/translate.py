"""Our subset of MQL5 as C++: arrays become classes, line numbers stay, and what is not understood is refused.

MQL5 is close enough to C++ that g++ reads it once arrays are spelled otherwise: `const uchar &a[]` is no C++, and
`uint a[4]` would be an array without bounds. Whatever C++ might take for something else than MQL5 does is an error
here and not a guess, so a file that passes uses only what both read alike.
"""

import re
from collections.abc import Iterator, Set

_NAME = r"[A-Za-z_]\w*"
_COMMENT_OR_TEXT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', re.DOTALL)
_PARAMETER = re.compile(rf"(?P<type>{_NAME})(?P<gap>\s*)&\s*(?P<name>{_NAME})\s*\[\s*\]")
_DECLARATOR = rf"{_NAME}(?:\s*\[\s*\w*\s*\](?:\s*=\s*\{{[^{{}}]*\}})?)?"
# Words that stand before a name without declaring it.
_NO_TYPE = r"(?!(?:return|else|case|struct|do)\b)"
_DECLARATION = re.compile(
    rf"(?P<const>\b(?:const\s+)?)(?<![\w.]){_NO_TYPE}(?!const\b)(?P<type>{_NAME})\s+"
    rf"(?P<list>{_DECLARATOR}(?:\s*,\s*{_DECLARATOR})*)\s*;")
_ONE = re.compile(
    rf"(?P<name>{_NAME})(?:\s*\[\s*(?P<size>\w*)\s*\](?P<values>\s*=\s*\{{[^{{}}]*\}})?)?\s*(?:,|$)")
_START = rf"(?:^|[;{{}}])\s*(?:const\s+)?{_NO_TYPE}"
_SIZE = re.compile(r"[1-9]\d*|[A-Z][A-Z0-9_]*")
_SCALARS = "bool|char|uchar|short|ushort|int|uint|long|ulong|float|double|string"
_DIRECTIVE = re.compile(
    rf'#(?:property\b.*|include +(?:"\w+\.mqh"|<Countersign/\w+\.mqh>)|ifn?def +{_NAME}|else|endif'
    rf"|define +{_NAME}(?: +(?:\d+|\(-\d+\)|0x[0-9a-fA-F]+))?)\s*")

# Words that C++ knows and MQL5 does not, or that mean something else there, or that the subset does without.
_FOREIGN = re.compile(
    r"\b(?:and|auto|class|const_cast|constexpr|decltype|delete|dynamic_cast|export|extern|final"
    r"|friend|goto|import|inline|interface|mutable|namespace|new|not|nullptr|operator|or|override|pack|private"
    r"|protected|proof|public|register|reinterpret_cast|signed|sinput|size_t|static|static_assert|static_cast|std"
    r"|template|this|throw|try|catch|typedef|typename|union|unsigned|using|virtual|volatile|wchar_t|xor"
    r"|u?int(?:8|16|32|64)_t|GetPointer|NULL|Arr|Fixed|FixedMember)\b")
_REFUSED = [
    (_FOREIGN, "a word outside the subset"),
    (re.compile(r"'"), "a character literal: its type is another one in C++"),
    (re.compile(r'"'), "a text that does not end"),
    (re.compile(r"/\*"), "a comment that does not end"),
    (re.compile(r"->|::"), "pointers and scopes"),
    (re.compile(rf"\b(?:{_SCALARS})\s*(?:\*|&&)"), "pointers and references to temporaries"),
    (re.compile(rf"{_START}{_NAME}\s*\*+\s*{_NAME}\s*[;,=\[]", re.MULTILINE),
     "a pointer, or a product that nobody uses"),
    (re.compile(rf"{_START}{_NAME}\s+{_NAME}\s*\([^()]*\*", re.MULTILINE), "a pointer among parameters"),
    (re.compile(rf"{_START}{_NAME}\s*&\s*{_NAME}\s*(?:=(?!=)|;)", re.MULTILINE), "a reference that is no parameter"),
    (re.compile(rf"\b(?:{_SCALARS})\s*&\s*{_NAME}\s*\("), "a reference as an answer"),
    (re.compile(rf"\b(?:{_SCALARS})\s+{_NAME}\s*\{{"), "a value in braces"),
    (re.compile(r"\]\s*\["), "an array of more than one dimension"),
    (re.compile(r"\[\s*[&=]"), "a lambda"),
    (re.compile(r"\bcase\s*“"), "a switch on texts"),
    (re.compile(r"\bfor\s*\([^;()]*:"), "a loop over a range"),
    (re.compile(r"\b(?:0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b"), "a number with a suffix"),
    (re.compile(r"(?<![\w.])0\d"), "a number with a zero before it: octal in C++"),
    (re.compile(r"\\\n"), "a line that goes on in the next"),
    (re.compile(rf"\bstruct\b(?!\s+{_NAME}\s*\{{[^{{}}()=]*\}}\s*;)"), "a structure that has more than members"),
    (re.compile(rf"\benum\b(?!\s+{_NAME}\s*\{{[^{{}}]*\}}\s*;)"), "an enumeration of another form"),
]
_STRUCTURE = re.compile(rf"\bstruct\s+(?P<name>{_NAME})\s*\{{[^{{}}]*\}}")
_INPUT = re.compile(
    rf"\binput\b\s*(?:(?P<group>group\s*“\d+”\s*;?)|(?P<type>{_NAME})\s+(?P<name>{_NAME})\s*=\s*(?P<value>[^;{{}}]+);)?")
_LEFT_OVER = [
    (re.compile(r"\[\s*\]"), "an array that is neither a parameter by reference nor a declaration"),
    (re.compile(rf"(?<![\w.]){_NO_TYPE}(?!const\b){_NAME}\s+{_NAME}\s*\["), "a declaration of an array"),
]


class CannotTranslate(Exception):
    """The text has something that the translation does not know; says where and what."""


def structures(source: str) -> set[str]:
    """The names of the structures that a file declares."""
    return {match["name"] for match in _STRUCTURE.finditer(_COMMENT_OR_TEXT.sub(" ", source))}


def translate(source: str, name: str, known: Set[str] = frozenset()) -> str:
    """The C++ of one file. ``name`` is what compilers are to call it; lines keep their numbers.

    ``known`` are structures of other files: like its own they go to functions by reference alone.
    """
    _refuse_bytes(source, name)
    texts: list[str] = []
    code = _COMMENT_OR_TEXT.sub(lambda match: _masked(match[0], texts), source)
    _refuse(code, name, _REFUSED)
    _refuse_copies(code, name, structures(code) | known)
    code = _directives(code, texts, name)
    code = _INPUT.sub(lambda match: _input(match, name), code)
    code = _PARAMETER.sub(r"Arr<\g<type>>\g<gap>&\g<name>", code)
    code = _DECLARATION.sub(lambda match: _declared(match, code, name), code)
    _refuse(code, name, _LEFT_OVER)
    _refuse_hidden_arrays(code, name)
    # A bare literal is a place in memory to C++: adding a number to it would compile, and point elsewhere.
    return f'#line 1 "{name}"\n' + _unmasked(code, [f"string({text})" for text in texts])


def _refuse_bytes(source: str, name: str) -> None:
    """MetaEditor reads other characters by the code page of whoever compiles."""
    for number, line in enumerate(source.split("\n"), 1):
        if not all(character == "\t" or " " <= character <= "~" for character in line):
            raise CannotTranslate(f"{name}:{number}: a character that is not plain ASCII")


def _masked(piece: str, texts: list[str]) -> str:
    """Comments as white space, texts as a mark that no source can hold: nothing in them is code."""
    if piece.startswith('"'):
        texts.append(piece)
        return f"“{len(texts) - 1}”"
    return re.sub(r"[^\n]", " ", piece)


def _unmasked(code: str, texts: list[str]) -> str:
    return re.sub("“(\\d+)”", lambda mark: texts[int(mark[1])], code)


def _refuse(code: str, name: str, rules: list[tuple[re.Pattern[str], str]]) -> None:
    for pattern, reason in rules:
        if found := pattern.search(code):
            raise _error(code, found.end(), name, f"{reason}: {' '.join(found[0].split())}")


def _error(code: str, place: int, name: str, reason: str) -> CannotTranslate:
    number = code.count("\n", 0, place) + 1
    return CannotTranslate(f"{name}:{number}: {reason}")


def _directives(code: str, texts: list[str], name: str) -> str:
    """Let through what both preprocessors read alike; includes lose their directory, properties go."""
    lines = code.split("\n")
    for i, line in enumerate(lines):
        if not line.lstrip().startswith("#"):
            continue
        told = _unmasked(line.strip(), texts)
        if not _DIRECTIVE.fullmatch(told):
            raise CannotTranslate(f"{name}:{i + 1}: a directive outside the subset: {told}")
        lines[i] = "" if told.startswith("#property") else re.sub(r"<Countersign/(\w+\.mqh)>", r'"\1"', told)
    return "\n".join(lines)


def _declared(match: re.Match[str], code: str, name: str) -> str:
    """Each array of a declaration as one of its own; declarations without arrays stay as they are."""
    if "[" not in match["list"]:
        return match[0]
    written = [_declared_one(match, one, code, name) for one in _ONE.finditer(match["list"])]
    text = " ".join(written)
    return text + "\n" * (match[0].count("\n") - text.count("\n"))


def _input(match: re.Match[str], name: str) -> str:
    """A parameter that its owner sets: fixed for the program, taken from outside when it starts."""
    before = match.string[:match.start()]
    if before.count("{") != before.count("}") or not (match["group"] or match["type"]):
        raise _error(match.string, match.end(), name, f"no parameter of a program: {' '.join(match[0].split())}")
    if match["group"]:
        return "\n" * match[0].count("\n")
    kind, called = match["type"], match["name"]
    text = f'const {kind} {called} = proof::input_of<{kind}>("{called}", {match["value"]});'
    return text + "\n" * (match[0].count("\n") - text.count("\n"))


def _refuse_copies(code: str, name: str, known: Set[str]) -> None:
    """MQL5 hands structures over by reference alone."""
    for match in re.finditer(rf"[(,]\s*(?:const\s+)?(?P<type>{_NAME})\s+{_NAME}\s*(?=[,)])", code):
        if match["type"] in known or match["type"].startswith("Mql"):
            raise _error(code, match.end(), name, f"a structure handed over as a copy: {match['type']}")


def _declared_one(match: re.Match[str], one: re.Match[str], code: str, name: str) -> str:
    kind, size = match["type"], one["size"]
    if size is None:
        return f"{match['const']}{kind} {one['name']};"
    if size == "":
        if one["values"] or match["const"]:
            raise _error(code, match.start(), name, "an array of values has to say its size")
        return f"Arr<{kind}> {one['name']};"
    if not _SIZE.fullmatch(size):
        raise _error(code, match.start(), name, f"the size of an array is a number or a macro, not {size}")
    inside = any(body.start() < match.start() < body.end() for body in _STRUCTURE.finditer(match.string))
    array = "FixedMember" if inside else "Fixed"
    return f"{match['const']}{array}<{kind}, {size}> {one['name']}{one['values'] or ''};"


def _refuse_hidden_arrays(code: str, name: str) -> None:
    """`int n = 3, a[4];`: an array behind another declarator, which g++ would take for its own kind."""
    for start, statement in _statements(code):
        if re.match(rf"\s*(?:for\s*\(\s*)?(?:const\s+)?{_NO_TYPE}{_NAME}\s+{_NAME}\s*[=,]", statement):
            flat = _flat(statement)
            if re.search(rf",\s*{_NAME}\s*\[", flat):
                raise _error(code, start + len(statement), name, "an array behind a declaration with a value")


def _statements(code: str) -> Iterator[tuple[int, str]]:
    for match in re.finditer(r"[^;{}]+", code):
        yield match.start(), match[0]


def _flat(statement: str) -> str:
    """Without what stands in parentheses: commas there part arguments."""
    statement = re.sub(r"^\s*for\s*\(", "", statement)
    while (shorter := re.sub(r"\([^()]*\)", " ", statement)) != statement:
        statement = shorter
    return statement
