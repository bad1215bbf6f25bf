"""The composition root: builds the desk, opens its doors, starts its loops, and closes everything again."""

import asyncio
import gc
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from functools import partial

import structlog
from aiogram import Bot
from aiohttp import web
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError

import cashdesk
import commands
import config
import migrations
import terminals
from bot import dispatcher, session, setup
from bot.intake import Intake
from bot.keyboards import Links
from bot.notifier import Notifier
from bot.star_payments import StarPayments
from bot.worker import Worker
from config import ConfigurationError, Settings
from models.database import Database, DatabaseUnavailable
from runtime import logs, valkey
from runtime.lock import DirectoryLock, InUse
from runtime.metrics import Metrics, watch_loop
from runtime.supervision import Supervisor
from runtime.valkey import EmbeddedValkey, ValkeyUnavailable
from sandbox.errors import RefusedToStart
from sandboxed import Surroundings
from services import accounts, approvals, background, canary, execution, recovery, replays, syncing, users
from services.auth import Tokens
from services.desk import Desk, Onboarding, Wakes
from services.device_counters import DeviceCounters
from services.device_keys import DeviceKeys
from services.device_rules import DeviceRules
from services.event_hub import EventHub
from services.owners import Owners
from services.positions import Reader
from services.reports import Reports
from services.sightings import Sightings
from services.sizing import SizingRules
from services.vault import Vault
from services.waiting_orders import WaitingOrders
from services.warmup import Looks
from terminal.paper.gateway import PaperGateway
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import Gateway
from terminal.pushed import PushedGateway
from webapp import application, presenters

log = structlog.get_logger(__name__)

# A request under way gets this long to end, and as long again to notice that it was cancelled.
LAST_REQUESTS_SECONDS = 0.75


class CannotStart(Exception):
    """Something the desk needs is missing or taken; the message says what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    given = commands.parser().parse_args(arguments)
    if given.verb not in ("run", "sandbox"):
        return commands.run_verb(given)
    is_sandbox = given.verb == "sandbox"
    try:
        settings = config.load(overlay=commands.SANDBOX_OVERLAY if is_sandbox else None)
    except ConfigurationError as error:
        return commands.report_faults(error.faults, as_json=given.json)
    faults = [] if is_sandbox else commands.missing_for_run(settings)
    if faults:
        return commands.report_faults(faults, as_json=given.json)
    logs.configure(settings.log_level)
    try:
        _run(serve(settings, is_sandbox))
    except (CannotStart, RefusedToStart, InUse, ValkeyUnavailable, DatabaseUnavailable) as error:
        print(f"Countersign cannot start: {error}", file=sys.stderr)
        return commands.EX_FAILED
    gc.freeze()  # everything is closed; searching the whole heap once more at exit takes the interpreter seconds
    return 0


def _run(work: Awaitable[None]) -> None:
    async def awaited() -> None:
        await work

    if sys.platform == "win32":
        asyncio.run(awaited())
        return
    import uvloop

    uvloop.run(awaited())


async def serve(settings: Settings, is_sandbox: bool) -> None:
    """Run the desk until SIGTERM or SIGINT, then close in the reverse order of opening."""
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    try:
        settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotStart(f"DATA ({settings.data}) cannot be used: {error.strerror}.") from error
    surroundings = Surroundings(settings) if is_sandbox else None
    settings = surroundings.settings if surroundings is not None else settings
    _hide_secrets(settings)
    metrics = Metrics()
    supervisor = Supervisor(on_restart=lambda name: metrics.task_restarts.labels(name).inc())
    async with AsyncExitStack() as stack:
        try:
            desk = await _open_desk(stack, settings, supervisor, metrics, surroundings)
            await _open_doors(stack, settings, desk, surroundings)
            # What stands now stays to the end: the collector need not look at it, which would hold everyone up.
            gc.freeze()
            _greet(settings, surroundings)
            await stopped.wait()
            log.info("stopping")
        finally:
            # Loops end first, while everything they use is still there.
            await supervisor.stop(settings.facts.server.shutdown_seconds)


def _hide_secrets(settings: Settings) -> None:
    for name in ("bot_token", "telegram_webhook_secret", "master_key", "master_key_previous", "metrics_token",
                 "stripe_secret_key"):
        value: SecretStr | None = getattr(settings, name)
        if value is not None:
            logs.register_secret(value.get_secret_value())
    for secret in settings.stripe_webhook_secrets:
        logs.register_secret(secret.get_secret_value())


async def _open_desk(stack: AsyncExitStack, settings: Settings, supervisor: Supervisor, metrics: Metrics,
                     surroundings: Surroundings | None) -> Desk:
    """Database, Redis, the paper market, and the desk on top of them."""
    url, now = settings.database_url.get_secret_value(), datetime.now(UTC)
    if url.startswith("sqlite"):
        lock = DirectoryLock(settings.data)
        lock.take()
        stack.callback(lock.release)
    await migrations.upgrade(url)
    redis = await _open_redis(stack, settings, supervisor)
    database = Database.open(url)
    stack.push_async_callback(database.close)
    vault = commands.vault(settings)
    await _prepare(database, vault, settings, now)
    quotes = QuoteFeed(seed=settings.facts.paper.seed, anchors=settings.facts.paper.anchors)
    gateway = paper_of(settings, database, quotes)
    await gateway.load(now)
    terminal = terminals.terminal_of(settings, partial(accounts.password_of, database, vault),
                                     surroundings.wheel if surroundings is not None else None)
    if terminal is not None:
        stack.push_async_callback(terminal.close_all)
    desk = desk_of(settings, database, redis, gateway, vault, supervisor, metrics, terminal=terminal)
    if surroundings is not None:
        await surroundings.open(desk, quotes)
        stack.push_async_callback(surroundings.close)
    supervisor.start("paper_market", partial(gateway.run, supervisor.stopping))
    supervisor.start("changes", partial(desk.positions.listen, supervisor.stopping))
    supervisor.start("events", partial(desk.events.listen, supervisor.stopping))
    supervisor.start("sightings", partial(desk.sightings.run, supervisor.stopping))
    supervisor.start("waiting_orders", partial(desk.waiting_orders.run, supervisor.stopping))
    supervisor.start("loop_lag", partial(watch_loop, metrics, supervisor.stopping))
    return desk


async def _open_redis(stack: AsyncExitStack, settings: Settings, supervisor: Supervisor) -> Redis:
    if settings.redis_url is not None:
        redis = valkey.connect(settings.redis_url.get_secret_value())
    else:
        embedded = EmbeddedValkey()
        redis = valkey.connect(await embedded.start(settings.data))
        stack.push_async_callback(embedded.stop)
        supervisor.start("valkey", partial(embedded.watch, supervisor.stopping))
    stack.push_async_callback(redis.aclose)
    with suppress(RedisError, OSError, TimeoutError):  # then the first device that asks begins it
        await replays.begin(redis, datetime.now(UTC))
    return redis


async def _prepare(database: Database, vault: Vault, settings: Settings, now: datetime) -> None:
    """What has to be so before anything else happens."""
    async with database.writing() as opened:
        if not await canary.sings(opened, vault):
            raise CannotStart("MASTER_KEY is not the key this database was sealed with.")
        await canary.renew(opened, vault)
        if database.is_sqlite:
            await recovery.release_leases(opened, now)
        await users.name_admins(opened, settings.admin_ids, now)


def paper_of(settings: Settings, database: Database, quotes: QuoteFeed) -> PaperGateway:
    """The practice broker."""
    facts = settings.facts.paper
    return PaperGateway(database, quotes, leverage=facts.leverage, step_seconds=facts.step_seconds)


def desk_of(settings: Settings, database: Database, redis: Redis, gateway: PaperGateway, vault: Vault,
            supervisor: Supervisor, metrics: Metrics, *, terminal: Gateway | None = None,
            replica: str | None = None) -> Desk:
    """The desk from its parts; without a ``terminal`` no MetaTrader account can be signed in to."""
    facts, catalogue, seconds = settings.facts, commands.catalogue(settings), timedelta(seconds=1)
    pushed = PushedGateway(Reports(database, redis))
    reached: list[Gateway] = [gateway, pushed, *([terminal] if terminal is not None else [])]
    gateways = {one.route: one for one in reached}
    events = EventHub(database, redis, supervisor.spawn, most=facts.server.event_streams)
    sizing = SizingRules(facts.accounts.default_risk_percent, facts.accounts.volume_without_stop)
    return Desk(
        database=database, redis=redis, vault=vault,
        tokens=Tokens(vault.jwt_keys, facts.auth.access_token_seconds,
                      timedelta(days=facts.auth.refresh_token_idle_days)),
        catalogue=catalogue, gateways=gateways, paper=gateway,
        positions=Reader(database, redis, gateways, cache=facts.positions.cache_seconds * seconds,
                         force_after=facts.positions.force_refresh_seconds * seconds,
                         written=presenters.written, start=supervisor.spawn,
                         changed=events.account_changed),
        owners=Owners(database, redis, supervisor.spawn), events=events,
        device_keys=DeviceKeys(database, redis, vault, supervisor.spawn),
        device_counters=DeviceCounters(redis), sightings=Sightings(database), waiting_orders=WaitingOrders(database),
        looks=Looks(redis, timedelta(minutes=facts.positions.warm_minutes)),
        approval_rules=approvals.Rules(catalogue, facts.approvals.card_settle_seconds * seconds,
                                       facts.orders.execute_within_seconds * seconds),
        execution_rules=execution.Rules(sizing, facts.orders.max_adverse_drift, catalogue),
        onboarding=Onboarding(facts.signals.auto_follow, facts.accounts.open_paper_on_start,
                              facts.accounts.paper_currency, facts.accounts.paper_deposit, settings.admin_ids),
        device_rules=DeviceRules(facts.devices.poll_seconds, facts.devices.deviation_points),
        wakes=Wakes(), metrics=metrics, supervisor=supervisor, replica=replica or secrets.token_hex(8))


async def _open_doors(stack: AsyncExitStack, settings: Settings, desk: Desk,
                      surroundings: Surroundings | None) -> None:
    """The chat door, the HTTP door, and the loops behind them."""
    assert settings.bot_token is not None
    may_open = settings.public_url.startswith("https://") or surroundings is not None
    links = Links(settings.public_url if may_open else None, settings.public_url)
    token = settings.bot_token.get_secret_value()
    bot = session.connect(token, settings.telegram_api_base, desk.metrics)
    stack.push_async_callback(bot.session.close)
    known: dict[str, str] = {}
    facts = settings.facts
    cashier = cashdesk.open_cashier(stack, settings, desk)
    cashiers = {} if cashier is None else {cashier.payments.name: cashier}
    offered = facts.billing.providers
    prices = cashdesk.star_prices(desk.catalogue) if "telegram" in (*offered.app, *offered.chat) else {}
    payments = StarPayments(bot, desk.database, {name: price.amount_minor for name, price in prices.items()})
    cashiers[payments.name] = cashdesk.open_stars(settings, desk, payments, prices)
    web_app = application.build(desk, settings, partial(_is_ready, desk, settings), cashier=cashier,
                                cashiers=cashiers,
                                console_origin=surroundings.origin if surroundings else None,
                                bot_username=lambda: known.get("username"))
    await _listen(stack, web_app, settings)
    background.start(desk, fan_out_rows=facts.signals.fan_out_chunk, order_workers=facts.orders.workers,
                     keep=timedelta(days=facts.inbox.keep_days),
                     syncs=syncing.Rules(timedelta(seconds=facts.positions.sync_seconds),
                                         timedelta(seconds=facts.positions.idle_sync_seconds)))
    start = desk.supervisor.start
    chat = dispatcher.build(desk, links, cashiers, offered=offered.chat, pay_support=facts.billing.support)
    start("inbox", Worker(desk, bot, chat, facts.inbox).run)
    start("notifier", Notifier(desk, bot, links, facts.notifier).run)
    start("telegram", _telegram(desk, bot, links, settings, known))


def _telegram(desk: Desk, bot: Bot, links: Links, settings: Settings,
              known: dict[str, str]) -> Callable[[], Awaitable[None]]:
    """Introduce ourselves, then listen; the supervisor tries again while Telegram is not reachable."""

    async def run() -> None:
        assert settings.bot_token is not None
        known["username"] = await setup.introduce(bot, links)
        if settings.telegram_mode == "webhook":
            assert settings.telegram_webhook_secret is not None
            await setup.listen_by_webhook(bot, f"{settings.public_url}/webhook/telegram",
                                          settings.telegram_webhook_secret.get_secret_value())
            await desk.supervisor.stopping.wait()
            return
        await setup.listen_by_polling(bot)
        await Intake(desk, settings.bot_token.get_secret_value(), settings.telegram_api_base).run()

    return run


async def _listen(stack: AsyncExitStack, web_app: web.Application, settings: Settings) -> None:
    runner = await application.opened(web_app, shutdown_timeout=LAST_REQUESTS_SECONDS)
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        raise CannotStart(f"port {settings.port} on {settings.host} cannot be used ({error.strerror}). "
                          "Set PORT to a free one.") from error


async def _is_ready(desk: Desk, settings: Settings) -> bool:
    """Database, Redis, migrations, key canary."""
    try:
        await desk.database.check()
        async with desk.database.reading() as opened:
            is_right_key = await canary.sings(opened, desk.vault)
        is_current = await migrations.current(settings.database_url.get_secret_value()) == migrations.head()
    except Exception as error:
        log.warning("not_ready", part="database", error=type(error).__name__)
        desk.metrics.database_up.set(0)
        return False
    desk.metrics.database_up.set(1)
    try:
        await desk.redis.exists("ready")
    except (RedisError, OSError) as error:
        log.warning("not_ready", part="redis", error=type(error).__name__)
        desk.metrics.redis_up.set(0)
        return False
    desk.metrics.redis_up.set(1)
    return is_right_key and is_current


def _greet(settings: Settings, surroundings: Surroundings | None) -> None:
    if surroundings is not None:
        print(surroundings.greeting(), flush=True)
    else:
        print(f"Countersign is open at {settings.public_url} (listening on {settings.host}:{settings.port}).",
              flush=True)


if __name__ == "__main__":
    sys.exit(main())
