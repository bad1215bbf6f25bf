"""Envelopes: the shared vectors, and that nothing but the very bytes that were sealed opens, and only at its place."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts import envelope_vectors
from tests.wire import breaking
from wire import envelope, signing
from wire.envelope import Direction, EnvelopeBroken, Fault

VECTORS: dict[str, Any] = json.loads(envelope_vectors.TARGET.read_text("utf-8"))
SECRET = bytes(range(32))
DEVICE = "dv_0123456789abcdef01234567"
PATH = "/api/v1/ea/ack?envelope=v1&counter=7"
DIRECTIONS = {"c2s": Direction.C2S, "s2c": Direction.S2C}
KEYS = envelope.keys_of(SECRET, DEVICE)
TEXT = b'{"order_id":"7","status":"placed"}'


def keys_of(vector: dict[str, Any]) -> envelope.Keys:
    return envelope.keys_of(signing.decode_secret(vector["secret"]), vector["device_id"])


def place_of(vector: dict[str, Any]) -> tuple[Direction, int, str]:
    return DIRECTIONS[vector["direction"]], int(vector["counter"]), vector["path_query"]


def test_the_vectors_are_what_their_script_writes() -> None:
    assert Path(envelope_vectors.TARGET).read_text("utf-8") == envelope_vectors.written()


@pytest.mark.parametrize("vector", VECTORS["keys"], ids=lambda v: v["device_id"][:30])
def test_keys_are_as_the_vectors_say(vector: dict[str, Any]) -> None:
    keys = keys_of(vector)
    assert (keys.up.hex(), keys.down.hex()) == (vector["c2s_hex"], vector["s2c_hex"])
    assert keys.up.hex() not in repr(keys) and repr(keys.up) not in repr(keys)


@pytest.mark.parametrize("vector", VECTORS["envelopes"], ids=lambda v: v["name"])
def test_envelopes_are_sealed_and_opened_as_the_vectors_say(vector: dict[str, Any]) -> None:
    text, sealed = bytes.fromhex(vector["text_hex"]), bytes.fromhex(vector["envelope_hex"])
    assert envelope.seal(keys_of(vector), *place_of(vector), text) == sealed
    assert envelope.open(keys_of(vector), *place_of(vector), sealed) == text


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_what_the_vectors_refuse_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(EnvelopeBroken) as refused:
        envelope.open(keys_of(vector), *place_of(vector), bytes.fromhex(vector["envelope_hex"]))
    assert refused.value.fault == vector["fault"]


def test_every_fault_is_among_the_vectors() -> None:
    assert {vector["fault"] for vector in VECTORS["refused"]} == set(Fault)


@pytest.mark.parametrize("direction", Direction)
def test_no_bit_of_an_envelope_can_be_changed(direction: Direction) -> None:
    sealed = envelope.seal(KEYS, direction, 7, PATH, TEXT)
    assert envelope.open(KEYS, direction, 7, PATH, sealed) == TEXT
    for changed in breaking.every_bit(sealed):
        with pytest.raises(EnvelopeBroken):
            envelope.open(KEYS, direction, 7, PATH, changed)


@pytest.mark.parametrize("direction", Direction)
def test_no_bit_of_its_place_can_be_changed(direction: Direction) -> None:
    """Path, counter and device id by a bit each, and the direction; with the right keys too."""
    sealed = envelope.seal(KEYS, direction, 7, PATH, TEXT)
    other = Direction.C2S if direction is Direction.S2C else Direction.S2C
    places = [(KEYS, other, 7, PATH)]
    places += [(KEYS, direction, 7, path) for path in breaking.every_ascii_bit(PATH)]
    places += [(KEYS, direction, 7 ^ 1 << bit, PATH) for bit in range(64)]
    for device_id in breaking.every_ascii_bit(DEVICE):
        places.append((envelope.keys_of(SECRET, device_id), direction, 7, PATH))
        places.append((envelope.Keys(device_id, KEYS.up, KEYS.down), direction, 7, PATH))
    for place in places:
        with pytest.raises(EnvelopeBroken):
            envelope.open(*place, sealed)


def test_no_bit_of_a_key_can_be_changed() -> None:
    sealed = envelope.seal(KEYS, Direction.S2C, 7, PATH, TEXT)
    for key in breaking.every_bit(KEYS.down):
        with pytest.raises(EnvelopeBroken):
            envelope.open(envelope.Keys(DEVICE, KEYS.up, key), Direction.S2C, 7, PATH, sealed)


def test_nothing_can_be_cut_off_or_put_on() -> None:
    sealed = envelope.seal(KEYS, Direction.C2S, 7, PATH, TEXT)
    for changed in (*(sealed[:size] for size in range(len(sealed))), *(sealed[size:] for size in range(1, len(sealed))),
                    sealed + b"\x00", b"\x00" + sealed, sealed + sealed):
        with pytest.raises(EnvelopeBroken):
            envelope.open(KEYS, Direction.C2S, 7, PATH, changed)


@pytest.mark.parametrize("counter", [-(2**63), -1, 0, 2**53, 2**64, 2**80])
def test_counters_that_there_are_not(counter: int) -> None:
    with pytest.raises(EnvelopeBroken) as refused:
        envelope.seal(KEYS, Direction.C2S, counter, PATH, TEXT)
    assert refused.value.fault == Fault.COUNTER


@pytest.mark.parametrize("device_id", ["", "d" * 256, "é" * 128])
def test_ids_that_have_no_place(device_id: str) -> None:
    with pytest.raises(EnvelopeBroken) as refused:
        envelope.keys_of(SECRET, device_id)
    assert refused.value.fault == Fault.DEVICE


def test_one_counter_seals_both_directions_differently() -> None:
    up, down = (envelope.seal(KEYS, direction, 7, PATH, bytes(64)) for direction in Direction)
    head = 2 + len(DEVICE) + 8
    assert up[:head] == down[:head] and up[head:] != down[head:]


PLACES = st.tuples(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=40), st.sampled_from(Direction),
                   st.integers(1, envelope.MOST_COUNTER), st.text(max_size=60))


@given(PLACES, st.binary(max_size=300))
def test_whatever_is_sealed_opens(place: tuple[bytes, str, Direction, int, str], text: bytes) -> None:
    secret, device_id, direction, counter, path = place
    keys = envelope.keys_of(secret, device_id)
    assert envelope.open(keys, direction, counter, path, envelope.seal(keys, direction, counter, path, text)) == text


def test_what_chance_makes_of_envelopes_is_refused() -> None:
    """A short walk of `make envelope-fuzz`."""
    breaking.fuzz(random.Random(11), 3_000)
