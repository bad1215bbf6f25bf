"""Translating the MQL5 files and compiling them with g++, as strictly as g++ can be."""

import hashlib
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ea.proof.translate import structures, translate

HERE = Path(__file__).parent
SOURCES = HERE.parent / "Include" / "Countersign"
SELF_TEST = HERE.parent / "Scripts" / "Countersign" / "SelfTest.mq5"
EXPERTS = HERE.parent / "Experts"
# Conversions that lose something are warnings in MetaEditor too. Variables that nobody set hold rubbish, not zero.
FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O1", "-fsigned-char",
         "-fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow", "-fno-sanitize-recover=all",
         "-ftrivial-auto-var-init=pattern", "-fno-lifetime-dse")
# A third of the time to compile. The warnings of things that nobody set are still there; what is not looked for is what
# goes wrong with pointers, which MQL5 as we write it has none of.
FOR_EXPERTS = ("-Og", "-fno-sanitize=null,alignment,object-size,vptr,pointer-overflow,nonnull-attribute")
_INCLUDE = re.compile(r'^#include +(?:<Countersign/(\w+\.mqh)>|"([\w/]+\.\w+)")', re.MULTILINE)


class DoesNotCompile(Exception):
    """What g++ said."""


def parts(program: Path, *more: Path) -> list[Path]:
    """A program's file, these, and whatever they include of ours, and so on."""
    found, waiting = dict[Path, None](), [program, *more]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        for mql, other in _INCLUDE.findall(path.read_text(encoding="utf-8")):
            named = (place / (mql or other) for place in (path.parent, SOURCES, HERE))
            waiting += [one for one in named if one.is_file()][:1]
    return list(found)


def translate_into(directory: Path, sources: Path = SOURCES) -> None:
    """Write the C++ of every file there; g++ is told where each line comes from."""
    translate_files(directory, sources.glob("*.mq?"))


def translate_files(directory: Path, files: Iterable[Path]) -> None:
    """Write the C++ of these files, as far as they are MQL5."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(files) if path.suffix in (".mqh", ".mq5")}
    known = set[str]().union(*map(structures, texts.values()))
    for path, text in texts.items():
        (directory / path.name).write_text(translate(text, str(path), known), encoding="utf-8")


def compile_program(directory: Path, program: Path, *flags: str, called: str | None = None) -> Path:
    """Compile a program that includes files of ``directory``; returns the executable."""
    target = directory / (called or program.stem)
    done = subprocess.run(("g++", *FLAGS, *flags, "-I", str(directory), "-I", str(HERE), str(program), "-o",
                           str(target)), capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise DoesNotCompile(done.stderr)
    return target


def build(directory: Path, program: str = "driver") -> Path:
    """A program that answers questions about the files."""
    source = HERE / f"{program}.cpp"
    translate_files(directory, parts(source))
    return compile_program(directory, source)


def build_expert(directory: Path, source: Path) -> Path:
    """A whole Expert Advisor with the terminal around it, which the environment sets up: see ``terminal/``."""
    translate_files(directory, parts(source))
    return compile_program(directory, HERE / "runner.cpp", *FOR_EXPERTS, f'-DEA_SOURCE="{source.name}"',
                           called=source.stem)


def build_self_test(directory: Path) -> Path:
    """The script that a terminal runs, as a program of its own."""
    translate_files(directory, parts(SELF_TEST))
    return compile_program(directory, HERE / "self_test.cpp")


def fingerprint(program: Path, *more: Path) -> str:
    """Of everything that goes into a program."""
    digest = hashlib.sha256(repr((FLAGS, FOR_EXPERTS)).encode())
    for path in (*parts(program, *more), Path(__file__), HERE / "translate.py"):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
