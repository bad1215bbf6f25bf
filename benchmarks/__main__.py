"""``make bench``: what the desk promises about speed, measured in one run against stand-ins with true limits."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from benchmarks import broadcast, fan_out, polls, positions, redis_away
from benchmarks.report import Figure, table


async def measure(cards: int, followers: int, checkouts: int, rounds: int) -> list[Figure]:
    """Every benchmark in turn; each in a folder of its own."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        figures += await positions.run(Path(folder) / "positions", rounds)
        figures += await polls.run(Path(folder) / "polls", rounds)
        figures += await fan_out.run(Path(folder) / "fan_out", followers)
        figures += await broadcast.run(Path(folder) / "broadcast", cards)
        figures += await redis_away.run(Path(folder) / "redis_away", checkouts)
    return figures


def main() -> int:
    given = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    given.add_argument("--cards", type=int, default=1_000, help="how many chats get a card")
    given.add_argument("--followers", type=int, default=100_000, help="how many followers a signal reaches")
    given.add_argument("--checkouts", type=int, default=100, help="how often somebody buys while Redis is away")
    given.add_argument("--rounds", type=int, default=15, help="how often positions and polls are asked, a second each")
    arguments = given.parse_args()
    figures = asyncio.run(measure(arguments.cards, arguments.followers, arguments.checkouts, arguments.rounds))
    print(table(figures))
    return 0 if all(figure.holds for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
