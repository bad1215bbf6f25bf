"""Envelopes in MQL5: the vectors that the desk's own side is held to, and each side opening what the other sealed."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ea import envelope_fuzz
from tests.ea.conftest import executable
from tests.ea.program import Program
from tests.wire import breaking
from wire import envelope, signing
from wire.envelope import Direction, EnvelopeBroken

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "envelope.json").read_text("utf-8"))
SECRET, DEVICE, PATH = bytes(range(32)), "dv_0123456789abcdef01234567", "/api/v1/ea/poll?envelope=v1&counter=7"
KEYS = envelope.keys_of(SECRET, DEVICE)
TEXT = b'{"orders":[],"next_poll_seconds":1}'


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with Program(executable(tmp_path_factory, "asks_envelope")) as running:
        yield running


def place_of(vector: dict[str, Any]) -> tuple[str, int, str]:
    return vector["device_id"], int(vector["counter"]), vector["path_query"]


def in_direction(direction: str) -> list[dict[str, Any]]:
    return [vector for vector in VECTORS["envelopes"] if vector["direction"] == direction]


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda v: v["device_id"][:30])
def test_keys_are_as_the_vectors_say(asked: Program, vector: dict[str, Any]) -> None:
    secret = signing.decode_secret(vector["secret"])
    assert asked.ask("envelope-keys", secret, vector["device_id"]) == bytes.fromhex(
        vector["c2s_hex"] + vector["s2c_hex"])


@pytest.mark.parametrize("vector", in_direction("c2s"), ids=lambda v: v["name"])
def test_requests_are_sealed_as_the_vectors_say(asked: Program, vector: dict[str, Any]) -> None:
    keys = envelope.keys_of(signing.decode_secret(vector["secret"]), vector["device_id"])
    sealed = asked.ask("seal-request", keys.up, *place_of(vector), bytes.fromhex(vector["text_hex"]))
    assert sealed == bytes.fromhex(vector["envelope_hex"])


@pytest.mark.parametrize("vector", in_direction("s2c"), ids=lambda v: v["name"])
def test_answers_are_opened_as_the_vectors_say(asked: Program, vector: dict[str, Any]) -> None:
    keys = envelope.keys_of(signing.decode_secret(vector["secret"]), vector["device_id"])
    opened = asked.ask("open-answer", keys.down, *place_of(vector), bytes.fromhex(vector["envelope_hex"]))
    assert opened == bytes.fromhex(vector["text_hex"])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_what_the_vectors_refuse_is_refused(asked: Program, vector: dict[str, Any]) -> None:
    """The one that is refused for its direction is an answer: to a device it is refused as what it sealed itself."""
    keys = asked.ask("envelope-keys", signing.decode_secret(vector["secret"]), vector["device_id"])
    assert (keys is None) == (vector["fault"] == "device" and vector["name"] in ("no device", "an id too long"))
    down = (keys or bytes(64))[32:] if vector["direction"] == "s2c" else (keys or bytes(64))[:32]
    assert asked.ask("open-answer", down, *place_of(vector), bytes.fromhex(vector["envelope_hex"])) is None


def test_the_query_is_the_one_the_desk_reads(asked: Program) -> None:
    assert asked.ask("envelope-query", envelope.MOST_COUNTER) == b"?envelope=v1&counter=9007199254740991"


@pytest.mark.parametrize("counter", [-(2**63), -1, 0, 2**53, 2**63 - 1])
def test_counters_that_there_are_not(asked: Program, counter: int) -> None:
    assert asked.ask("seal-request", KEYS.up, DEVICE, counter, PATH, TEXT) is None
    assert asked.ask("open-answer", KEYS.down, DEVICE, counter, PATH, bytes(100)) is None


@pytest.mark.parametrize("size", [0, 31, 33])
def test_without_a_whole_key_nothing_is_sealed(asked: Program, size: int) -> None:
    assert asked.ask("envelope-keys", bytes(size), DEVICE) is None
    assert asked.ask("seal-request", bytes(size), DEVICE, 7, PATH, TEXT) is None
    sealed = envelope.seal(envelope.Keys(DEVICE, bytes(32), bytes(32)), Direction.S2C, 7, PATH, TEXT)
    assert asked.ask("open-answer", bytes(size), DEVICE, 7, PATH, sealed) is None


def test_no_bit_of_an_answer_can_be_changed(asked: Program) -> None:
    sealed = envelope.seal(KEYS, Direction.S2C, 7, PATH, TEXT)
    assert asked.ask("open-answer", KEYS.down, DEVICE, 7, PATH, sealed) == TEXT
    for changed in breaking.every_bit(sealed):
        assert asked.ask("open-answer", KEYS.down, DEVICE, 7, PATH, changed) is None, changed.hex()
    for size in range(len(sealed)):
        assert asked.ask("open-answer", KEYS.down, DEVICE, 7, PATH, sealed[:size]) is None, size


def test_no_bit_of_its_place_can_be_changed(asked: Program) -> None:
    sealed = envelope.seal(KEYS, Direction.S2C, 7, PATH, TEXT)
    for path in breaking.every_ascii_bit(PATH):
        assert asked.ask("open-answer", KEYS.down, DEVICE, 7, path, sealed) is None, path
    for device_id in breaking.every_ascii_bit(DEVICE):
        assert asked.ask("open-answer", KEYS.down, device_id, 7, PATH, sealed) is None, device_id
    for bit in range(63):
        assert asked.ask("open-answer", KEYS.down, DEVICE, 7 ^ 1 << bit, PATH, sealed) is None, bit
    for key in breaking.every_bit(KEYS.down):
        assert asked.ask("open-answer", key, DEVICE, 7, PATH, sealed) is None, key.hex()


def test_no_bit_of_what_mql5_sealed_can_be_changed(asked: Program) -> None:
    sealed = asked.ask("seal-request", KEYS.up, DEVICE, 7, PATH, TEXT)
    assert sealed is not None and envelope.open(KEYS, Direction.C2S, 7, PATH, sealed) == TEXT
    for changed in breaking.every_bit(sealed):
        with pytest.raises(EnvelopeBroken):
            envelope.open(KEYS, Direction.C2S, 7, PATH, changed)


def test_directions_are_not_mixed_up(asked: Program) -> None:
    """What a device sealed is no answer to it, even with the other key; what the desk sealed is no request."""
    sealed = asked.ask("seal-request", KEYS.up, DEVICE, 7, PATH, TEXT)
    assert sealed is not None
    for key in (KEYS.up, KEYS.down):
        assert asked.ask("open-answer", key, DEVICE, 7, PATH, sealed) is None
    with pytest.raises(EnvelopeBroken):
        envelope.open(envelope.Keys(DEVICE, KEYS.down, KEYS.up), Direction.S2C, 7, PATH, sealed)


WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=60)
IDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=60)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=32, max_size=32), IDS, st.integers(1, envelope.MOST_COUNTER), WORDS, st.binary(max_size=300))
def test_each_side_opens_what_the_other_sealed(asked: Program, secret: bytes, device_id: str, counter: int, path: str,
                                               text: bytes) -> None:
    keys = envelope.keys_of(secret, device_id)
    assert asked.ask("envelope-keys", secret, device_id) == keys.up + keys.down
    sealed = asked.ask("seal-request", keys.up, device_id, counter, path, text)
    assert sealed == envelope.seal(keys, Direction.C2S, counter, path, text)
    answer = envelope.seal(keys, Direction.S2C, counter, path, text)
    assert asked.ask("open-answer", keys.down, device_id, counter, path, answer) == text


def test_what_chance_makes_of_answers_is_refused(asked: Program) -> None:
    """A short walk of `make envelope-fuzz`."""
    envelope_fuzz.fuzz(asked, random.Random(12), 500)
