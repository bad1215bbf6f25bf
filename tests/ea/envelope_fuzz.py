"""Fuzzing both readers of envelopes: ``python -m tests.ea.envelope_fuzz 1000000``, half of them for each side.

All keys and counters are right; what chance has made of an envelope must not open, and the envelope itself must.
"""

import random
import sys
import tempfile
from pathlib import Path

from ea.proof import compile as proof
from tests.ea.program import Program
from tests.wire import breaking
from wire import envelope
from wire.envelope import Direction

A_KEY = 250


def fuzz(program: Program, chance: random.Random, times: int) -> None:
    """Offer answers to the MQL5 file; AssertionError at the first that is taken for another."""
    keys = envelope.keys_of(chance.randbytes(32), breaking.DEVICE)
    for begun in range(0, times, A_KEY):
        counter = chance.randrange(1, 2**53)
        path = f"/api/v1/ea/poll?envelope=v1&counter={counter}"
        whole, others = breaking.a_few(chance, keys, Direction.S2C, counter, path)
        bodies = [breaking.mutated(chance, whole, others) for _ in range(min(A_KEY, times - begun) - 1)] + [whole]
        said = program.ask("opened-of", keys.down, breaking.DEVICE, counter, path, *bodies)
        assert said is not None
        for body, verdict in zip(bodies, said, strict=True):
            assert verdict == (body == whole), (keys.down.hex(), counter, body.hex())


def main() -> None:
    times, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory, Program(proof.build(Path(directory), "asks_envelope")) as program:
        breaking.fuzz(chance, times // 2)
        fuzz(program, chance, times - times // 2)
    sys.stdout.write(f"{times} envelopes with seed {seed}: none opened that is none\n")


if __name__ == "__main__":
    main()
