"""Translating the MQL5 files and compiling them with g++, as strictly as g++ can be."""

import subprocess
from pathlib import Path

from ea.proof.translate import structures, translate

HERE = Path(__file__).parent
SOURCES = HERE.parent / "Include" / "Countersign"
SELF_TEST = HERE.parent / "Scripts" / "Countersign" / "SelfTest.mq5"
# Conversions that lose something are warnings in MetaEditor too. Variables that nobody set hold rubbish, not zero.
FLAGS = ("-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O1", "-fsigned-char",
         "-fsanitize=address,undefined,float-divide-by-zero,float-cast-overflow", "-fno-sanitize-recover=all",
         "-ftrivial-auto-var-init=pattern", "-fno-lifetime-dse")


class DoesNotCompile(Exception):
    """What g++ said."""


def translate_into(directory: Path, sources: Path = SOURCES) -> None:
    """Write the C++ of every file; g++ is told where each line comes from."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {source: source.read_text(encoding="utf-8")
             for source in sorted([*SOURCES.glob("*.mq?"), *sources.glob("*.mq?")])}
    known = set[str]().union(*map(structures, texts.values()))
    for source, text in texts.items():
        if source.parent == sources:
            (directory / source.name).write_text(translate(text, str(source), known), encoding="utf-8")


def compile_program(directory: Path, program: Path) -> Path:
    """Compile a program that includes files of ``directory``; returns the executable."""
    target = directory / program.stem
    done = subprocess.run(("g++", *FLAGS, "-I", str(directory), "-I", str(HERE), str(program), "-o", str(target)),
                          capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise DoesNotCompile(done.stderr)
    return target


def build(directory: Path, program: str = "driver") -> Path:
    """A program that answers questions about the files."""
    translate_into(directory)
    return compile_program(directory, HERE / f"{program}.cpp")


def build_self_test(directory: Path) -> Path:
    """The script that a terminal runs, as a program of its own."""
    translate_into(directory)
    translate_into(directory, SELF_TEST.parent)
    return compile_program(directory, HERE / "self_test.cpp")
