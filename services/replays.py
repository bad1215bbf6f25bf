"""What devices sign is taken once, also when Redis has lost its memory.

Redis remembers every nonce for as long as its request is of now. When its memory begins anew, or another server has
taken its place, it is given the time: its epoch. What is dated before that may have been taken before, so it is
refused, if the record says that its device was there shortly before. A device that was not has nothing to repeat: its
clock may be slow. A device whose clock is ahead may have dated what it sent later than the epoch: the record says how
far.

Until when the requests of a device are refused is settled once in an epoch, and kept in Redis with the epoch.
"""

from datetime import datetime

from redis.asyncio import Redis
from sqlalchemy import select

from models.database import Database
from models.device import Device
from runtime import valkey
from runtime.line import Script
from services.sightings import RECORD_SECONDS
from wire.signing import MAX_SKEW_SECONDS

EPOCH, REFUSED = "device:epoch:v1", "device:refused:v1:"
# What was dated a second after the epoch may have been taken before it: seconds are whole, and desks' clocks differ.
SLACK_SECONDS = 2
DOUBT_SECONDS = MAX_SKEW_SECONDS + SLACK_SECONDS
# Whatever is still of now was taken at most two skews ago, and its device was on record half a minute before that.
SEEN_WITHIN_SECONDS = 2 * MAX_SKEW_SECONDS + RECORD_SECONDS
KEEP_SECONDS = 600

# For scripts: the server's name for this run and when it began to remember. KEYS[1] is EPOCH, ARGV[1] the desk's time.
EPOCH_OF = """
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)') or ''
local epoch = redis.call('GET', KEYS[1])
if not epoch or string.sub(epoch, 1, #run + 1) ~= run .. ':' then
  epoch = run .. ':' .. ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
local began = tonumber(string.sub(epoch, #run + 2))
"""
_EPOCH = Script(EPOCH_OF + "return epoch")


def refused_until(device_id: str, epoch: str) -> str:
    """Where it says until when what a device has dated is refused in an epoch."""
    return f"{REFUSED}{device_id}:{epoch}"


async def begin(redis: Redis, now: datetime) -> None:
    """Give a memory that is new its epoch before the first device asks. RedisError, OSError or TimeoutError."""
    await _epoch(redis, now)


async def settle(database: Database, redis: Redis, device_id: str, dated: int, now: datetime) -> None:
    """See to it that Redis can tell whether a request of this device, dated so, may be a repeat.

    It is settled before the device is put on record again. RedisError, OSError or TimeoutError while Redis is away.
    """
    epoch = await _epoch(redis, now)
    began = float(epoch.rpartition(":")[2])
    if dated > began + DOUBT_SECONDS:
        return
    name = refused_until(device_id, epoch)
    if await redis.exists(name):
        return
    async with database.reading() as session:
        row = (await session.execute(
            select(Device.last_seen_at, Device.dated_until).where(Device.id == device_id))).one_or_none()
    seen_at = row.last_seen_at.timestamp() if row is not None and row.last_seen_at is not None else 0.0
    was_there = row is not None and seen_at >= began - SEEN_WITHIN_SECONDS
    until = max(int(began) + SLACK_SECONDS, row.dated_until) if row is not None and was_there else 0
    await redis.set(name, until, nx=True, ex=KEEP_SECONDS)


async def _epoch(redis: Redis, now: datetime) -> str:
    said: bytes = await valkey.line_of(redis).run(valkey.PATIENCE, _EPOCH, [EPOCH], [repr(now.timestamp())])
    return said.decode()
