"""The sandbox's trade server: a broker with accounts to link, whose market is the practice market."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sandbox.examples import Prices
from sandbox.mt5.book import BALANCE, BONUS, CREDIT, HEDGING, NETTING
from sandbox.mt5.broker import Broker
from sandbox.mt5.faults import KINDS

WHEEL = Path(__file__).parent / "mt5" / "wheel"
"""Where a worker finds the package that stands in for MetaTrader5."""
FOLLOW_SECONDS = 0.5
MOST_PAID = Decimal(10**9)
PAYMENTS = {"balance": BALANCE, "credit": CREDIT, "bonus": BONUS}
SERVER = "Sandbox-MT5"


@dataclass(frozen=True, slots=True)
class Customer:
    """An account that waits to be linked."""

    login: int
    server: str
    password: str
    investor_password: str
    currency: str
    mode: str
    about: str
    otp: bool = False


def customers(secret: str) -> list[Customer]:
    """The accounts there are; their passwords are made from ``secret``."""
    given = [(5000001, SERVER, "USD", HEDGING, "hedging"), (5000002, SERVER, "EUR", HEDGING, "hedging, in euros"),
             (5000003, SERVER, "USD", NETTING, "netting"), (5000004, "Sandbox-Raw", "USD", HEDGING, "GOLD.r, EURUSD.r"),
             (5000005, "Sandbox-Micro", "USD", HEDGING, "mXAUUSD, mEURUSD"),
             (5000009, SERVER, "USD", HEDGING, "asks for a one-time password")]
    return [Customer(login, server, f"Main-{login % 100}-{secret}", f"View-{login % 100}-{secret}", currency, mode,
                     about, otp=login == 5000009) for login, server, currency, mode, about in given]


class TradeServer:
    """Opens the broker on ``data``, lets its prices follow ``prices``, and closes it in the end."""

    def __init__(self, data: Path, secret: str) -> None:
        self.broker = Broker(data / "sandbox-broker.db")
        self.folder = data / "sandbox-terminal"
        self._copies = data / "terminals"
        self._customers = customers(secret)
        self._following: asyncio.Task[None] | None = None

    async def open(self, prices: Callable[[], Prices]) -> None:
        """Listen on a free port of this machine; terminals of an earlier run knew another one."""
        await self.broker.start()
        await asyncio.to_thread(shutil.rmtree, self._copies, ignore_errors=True)
        await asyncio.to_thread(self.broker.write_terminal_folder, self.folder)
        for one in self._customers:
            self.broker.add_account(one.login, one.password, server=one.server, investor=one.investor_password,
                                    currency=one.currency, mode=one.mode, otp=one.otp)
        self._follow(prices())
        self._following = asyncio.create_task(self._keep_following(prices))

    async def close(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self.broker.stop()

    def access(self) -> dict[str, Any]:
        """What is needed to link the accounts; those of other servers stand apart."""
        shown = [asdict(one) | {"login": str(one.login)} for one in self._customers]
        return {"server": SERVER, "accounts": [one for one in shown if one["server"] == SERVER],
                "elsewhere": [one for one in shown if one["server"] != SERVER]}

    def add_fault(self, body: dict[str, Any]) -> None:
        """The next calls go wrong, of one account or of any; ValueError for what cannot be asked for."""
        kind, times, login, seconds = (body.get("fault"), body.get("times", 1), body.get("login"),
                                       body.get("seconds", 2))
        if not isinstance(kind, str) or kind not in KINDS:
            raise ValueError(f"fault must be one of {', '.join(sorted(KINDS))}.")
        if type(times) is not int or not 1 <= times <= 10_000:
            raise ValueError("times must be a whole number from 1.")
        if login is not None and not str(login).isdecimal():
            raise ValueError("login must be the number of an account.")
        if not isinstance(seconds, int | Decimal) or isinstance(seconds, bool) or not 0 <= seconds <= 600:
            raise ValueError("seconds must be a number up to 600.")
        self.broker.faults.add(login or 0, kind, times, seconds=float(seconds))

    def pay(self, body: dict[str, Any]) -> dict[str, Any]:
        """Money comes into an account, or goes out below 0; ValueError for what cannot be."""
        account = self.broker.book.accounts.get(_whole(body.get("login")))
        kind, amount = PAYMENTS.get(str(body.get("kind", "balance"))), _amount(body.get("amount"))
        if account is None:
            raise ValueError("login must be the number of an account.")
        if kind is None:
            raise ValueError(f"kind must be one of {', '.join(PAYMENTS)}.")
        if amount is None or amount != round(amount, account.digits):
            raise ValueError(f"amount must be a decimal other than 0, of at most {account.digits} places.")
        deal = self.broker.pay(account.login, amount, kind)
        return {"deal": deal, "balance": account.balance, "credit": account.credit}

    async def _keep_following(self, prices: Callable[[], Prices]) -> None:
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            self._follow(prices())

    def _follow(self, prices: Prices) -> None:
        for symbol, (bid, ask) in prices.items():
            self.broker.set_price(symbol, bid, ask)


def _whole(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


def _amount(value: Any) -> Decimal | None:
    if not isinstance(value, str | int | Decimal) or isinstance(value, bool):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    return amount if amount.is_finite() and 0 < abs(amount) <= MOST_PAID else None
