"""What both doors stand on: the database, Redis, the terminals, the rules, and who to wake after a commit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from redis.asyncio import Redis

from models.database import Database
from runtime.metrics import Metrics
from runtime.supervision import Supervisor, Wake
from services import approvals, execution
from services.auth import Tokens
from services.device_counters import DeviceCounters
from services.device_keys import DeviceKeys
from services.device_rules import DeviceRules
from services.event_hub import EventHub
from services.owners import Owners
from services.positions import Reader
from services.sightings import Sightings
from services.sign_ins import SignIns
from services.tiers import Catalogue
from services.vault import Vault
from services.waiting_orders import WaitingOrders
from services.warmup import Looks
from terminal.protocol import Gateway, PracticeGateway


@dataclass(frozen=True, slots=True)
class Wakes:
    """Set one after the commit that gave its loop something to do; the loops also look by themselves."""

    inbox: Wake = field(default_factory=Wake)
    outbox: Wake = field(default_factory=Wake)
    fan_out: Wake = field(default_factory=Wake)
    orders: Wake = field(default_factory=Wake)
    acts: Wake = field(default_factory=Wake)
    syncs: Wake = field(default_factory=Wake)
    targets: Wake = field(default_factory=Wake)
    payments: Wake = field(default_factory=Wake)


@dataclass(frozen=True, slots=True)
class Onboarding:
    """What a new user gets."""

    auto_follow: bool
    open_paper: bool
    paper_currency: str
    paper_deposit: Decimal
    admin_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Desk:
    """Handed to both doors and to the background loops."""

    database: Database
    redis: Redis
    vault: Vault
    tokens: Tokens
    catalogue: Catalogue
    gateways: Mapping[str, Gateway]
    """By route; each knows only its own accounts."""
    paper: PracticeGateway | None
    """The practice broker, which opens accounts by itself."""
    positions: Reader
    owners: Owners
    device_keys: DeviceKeys
    device_counters: DeviceCounters
    sightings: Sightings
    waiting_orders: WaitingOrders
    events: EventHub
    looks: Looks
    approval_rules: approvals.Rules
    execution_rules: execution.Rules
    onboarding: Onboarding
    device_rules: DeviceRules
    wakes: Wakes
    metrics: Metrics
    supervisor: Supervisor
    replica: str
    sign_ins: SignIns = field(default_factory=SignIns)
