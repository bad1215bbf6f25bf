"""The shape of config.toml: every fact with its type and its bounds."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tier(Section):
    usd_per_month: Decimal = Field(ge=0)
    stars_per_month: int = Field(ge=0, le=10_000)
    accounts: int = Field(ge=0)
    devices: int = Field(ge=0)
    live: bool
    copy_trading: bool
    card_delay_seconds: int = Field(ge=0, le=86_400)


class Auth(Section):
    init_data_max_age_seconds: int = Field(gt=0, le=86_400)
    init_data_max_future_seconds: int = Field(ge=0, le=300)
    access_token_seconds: int = Field(ge=60, le=3_600)
    refresh_token_idle_days: int = Field(ge=1, le=90)


class Signals(Section):
    auto_follow: bool
    expires_in_seconds: int = Field(ge=30, le=86_400)
    fan_out_chunk: int = Field(ge=1, le=10_000)


class Approvals(Section):
    card_settle_seconds: float = Field(ge=0, le=30)
    poll_seconds: int = Field(ge=1, le=60)


class Accounts(Section):
    open_paper_on_start: bool
    paper_deposit: Decimal = Field(gt=0)
    paper_currency: str = Field(pattern=r"^[A-Z]{3}$")
    default_risk_percent: Decimal = Field(gt=0, le=100)
    volume_without_stop: Decimal = Field(gt=0)


class Orders(Section):
    max_adverse_drift: Decimal = Field(gt=0)
    execute_within_seconds: int = Field(ge=1, le=3_600)
    workers: int = Field(ge=1, le=64)


class Devices(Section):
    poll_seconds: int = Field(ge=1, le=60)
    deviation_points: int = Field(ge=1, le=100_000)


class Positions(Section):
    cache_seconds: int = Field(ge=1, le=300)
    force_refresh_seconds: int = Field(ge=1, le=60)
    warm_minutes: int = Field(ge=0, le=1_440)
    sync_seconds: int = Field(ge=1, le=300)
    idle_sync_seconds: int = Field(ge=10, le=86_400)


class Terminal(Section):
    folder: str
    host: str = Field(pattern=r"^$|^[A-Za-z0-9.:\[\]_-]+:[0-9]{1,5}$")
    start_seconds: float = Field(ge=1, le=300)
    call_seconds: float = Field(ge=0.1, le=60)
    send_seconds: float = Field(ge=0.1, le=120)
    queue: int = Field(ge=1, le=1_000)
    start_every_seconds: float = Field(ge=0, le=60)
    recycle_hours: float = Field(gt=0, le=720)
    terminals: int = Field(ge=1, le=1_000)

    @model_validator(mode="after")
    def _one_place(self) -> "Terminal":
        if self.folder and self.host:
            raise ValueError("terminals stand either here (folder) or at a host, not both")
        return self


class Notifier(Section):
    workers: int = Field(ge=1, le=64)
    rate_per_second: float = Field(gt=0, le=1_000)
    max_rate_per_second: float = Field(gt=0, le=1_000)
    chat_interval_seconds: float = Field(ge=0, le=10)
    lease_seconds: int = Field(ge=5, le=600)
    max_attempts: int = Field(ge=1, le=50)


class Inbox(Section):
    workers: int = Field(ge=1, le=128)
    max_attempts: int = Field(ge=1, le=50)
    lease_seconds: int = Field(ge=5, le=600)
    keep_days: int = Field(ge=2, le=365)


class Limits(Section):
    auth: int = Field(ge=0)
    reads: int = Field(ge=0)
    decisions: int = Field(ge=0)
    money: int = Field(ge=0)
    links: int = Field(ge=0)
    signed: int = Field(ge=0)
    reports: int = Field(ge=0)
    pairings: int = Field(ge=0)
    unknown: int = Field(ge=0)


class Server(Section):
    trusted_proxies: tuple[str, ...]
    shutdown_seconds: int = Field(ge=1, le=7)
    event_streams: int = Field(ge=1, le=100_000)


class Paper(Section):
    step_seconds: float = Field(gt=0, le=60)
    leverage: int = Field(ge=1, le=2_000)
    seed: int
    anchors: dict[str, Annotated[Decimal, Field(gt=0)]]


Provider = Literal["stripe", "telegram"]


class Providers(Section):
    """What is offered where, the first one first."""

    app: tuple[Provider, ...]
    chat: tuple[Provider, ...]

    @model_validator(mode="after")
    def _named_once(self) -> "Providers":
        if any(len(set(named)) != len(named) for named in (self.app, self.chat)):
            raise ValueError("a provider is named twice")
        if "stripe" in self.chat:
            raise ValueError("the chat sells for Stars only; cards are offered in the app")
        return self


class Billing(Section):
    trial_days: int = Field(ge=0, le=90)
    grace_days: int = Field(ge=0, le=60)
    renewal_lag_hours: int = Field(ge=0, le=168)
    support: str = Field(min_length=1, max_length=200)
    providers: Providers


class Facts(Section):
    """config.toml, with the file named by CONFIG laid over it."""

    tiers: dict[Literal["free", "premium", "vip", "enterprise"], Tier]
    auth: Auth
    signals: Signals
    approvals: Approvals
    accounts: Accounts
    orders: Orders
    devices: Devices
    positions: Positions
    terminal: Terminal
    notifier: Notifier
    inbox: Inbox
    limits: Limits
    server: Server
    paper: Paper
    billing: Billing
