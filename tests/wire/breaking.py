"""Breaking envelopes: by every bit, and by chance."""

import random
from collections.abc import Iterator

from wire import envelope
from wire.envelope import Direction, EnvelopeBroken

DEVICE = "dv_0123456789abcdef01234567"


def every_bit(whole: bytes) -> Iterator[bytes]:
    """The bytes with each one of their bits changed."""
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def every_ascii_bit(whole: str) -> Iterator[str]:
    """The text with each one of its bits changed, as far as it stays one."""
    for place in range(len(whole)):
        for bit in range(7):
            yield whole[:place] + chr(ord(whole[place]) ^ 1 << bit) + whole[place + 1:]


def mutated(chance: random.Random, whole: bytes, others: list[bytes]) -> bytes:
    """Something else made of an envelope: bits, bytes, pieces cut out, put in, taken from another one."""
    match chance.randrange(7):
        case 0:
            return chance.randbytes(chance.randrange(120))
        case 1:
            return whole[:chance.randrange(len(whole))]
        case 2:
            return whole + chance.randbytes(chance.randrange(1, 40))
        case 3:
            at = chance.randrange(len(whole))
            return whole[:at] + chance.randbytes(chance.randrange(1, 5)) + whole[at:]
        case 4:
            at = chance.randrange(len(whole))
            return whole[:at] + whole[at + chance.randrange(1, 9):]
        case 5:
            other = chance.choice(others)
            at = chance.randrange(min(len(whole), len(other)))
            return whole[:at] + other[at:]
    changed = bytearray(whole)
    for _ in range(chance.randrange(1, 5)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def fuzz(chance: random.Random, times: int) -> None:
    """Offer what is no envelope of this place; the only thing that may open is the envelope itself."""
    keys, path = envelope.keys_of(chance.randbytes(32), DEVICE), "/api/v1/ea/ack?envelope=v1&counter=9"
    counter, direction = 9, Direction.C2S
    whole, others = a_few(chance, keys, direction, counter, path)
    for number in range(times):
        if number % 1_000 == 999:
            counter, direction = chance.randrange(1, 2**53), chance.choice(list(Direction))
            path = f"/api/v1/ea/ack?envelope=v1&counter={counter}"
            whole, others = a_few(chance, keys, direction, counter, path)
        body = mutated(chance, whole, others)
        try:
            envelope.open(keys, direction, counter, path, body)
        except EnvelopeBroken:
            continue
        assert body == whole, body.hex()


def a_few(chance: random.Random, keys: envelope.Keys, direction: Direction, counter: int,
          path: str) -> tuple[bytes, list[bytes]]:
    """An envelope, and others that are nearly of its place."""
    text, other = chance.randbytes(chance.randrange(80)), Direction(3 - direction)
    near = counter - 1 or 2
    return (envelope.seal(keys, direction, counter, path, text),
            [envelope.seal(keys, other, counter, path, text), envelope.seal(keys, direction, near, path, text),
             envelope.seal(keys, direction, counter, path + "0", text),
             envelope.seal(envelope.keys_of(bytes(32), DEVICE), direction, counter, path, text)])
