"""How far the trade server's wall clock is from UTC: MetaTrader gives times in it as if they were UTC."""

from datetime import UTC, datetime, timedelta

QUARTER_MSC = 15 * 60 * 1000
EARLIEST_MSC, LATEST_MSC = -12 * 3_600_000, 14 * 3_600_000
RECENT_MSC = 60_000
OFF_MSC = 120_000


class ServerClock:
    """Learns the offset from quotes: one that has just moved is as old as the last look at most.

    Before any has moved, the newest quote gives an estimate, which is too low on a closed market; ``is_certain``
    says which it is.
    """

    def __init__(self) -> None:
        self.offset = timedelta()
        self.is_certain = False
        self._estimated = False
        self._seen: dict[str, tuple[int, int]] = {}

    def note(self, symbol: str, tick_msc: int, now_msc: int) -> None:
        """A quote of this moment of the server was seen at that moment UTC, both in milliseconds."""
        last_msc, seen_msc = self._seen.get(symbol, (tick_msc, now_msc))
        self._seen[symbol] = (tick_msc, now_msc)
        ahead = tick_msc - now_msc
        rounded = round(ahead / QUARTER_MSC) * QUARTER_MSC
        if not EARLIEST_MSC <= rounded <= LATEST_MSC:
            return
        moved = tick_msc > last_msc and now_msc - seen_msc <= RECENT_MSC and abs(ahead - rounded) <= OFF_MSC
        offset = timedelta(milliseconds=rounded)
        if moved:
            self.offset, self.is_certain = offset, True
        elif not self.is_certain and (not self._estimated or offset > self.offset):
            self.offset, self._estimated = offset, True

    def utc(self, wall_msc: int) -> datetime:
        """The instant of a time the server gave, in milliseconds."""
        return datetime.fromtimestamp(wall_msc / 1000, UTC) - self.offset

    def wall(self, moment: datetime) -> datetime:
        """What the server's clock shows at an instant, in the zone the library takes it for."""
        return moment.astimezone(UTC) + self.offset
