"""A terminal that signs in with passwords: the paper broker's real accounts behind logins of a broker of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from models.database import Database
from terminal.paper.gateway import SERVER as PAPER
from terminal.paper.quotes import QuoteFeed
from terminal.protocol import AccountRef, AccountSnapshot, GatewayError, Position
from tests.services.gateways import TroubledLine

SERVER, BROKER = "Harbour-Live", "Harbour Markets"


@dataclass
class Client:
    """What the broker knows of one of its clients; ``seen_as`` is the login its terminal shows."""

    password: str
    investor: str
    trouble: str | None = None
    seen_as: str | None = None


class PasswordLine(TroubledLine):
    """Signing in is counted, and so is who was forgotten."""

    route = "terminal"
    resends_safely = False

    def __init__(self, database: Database, quotes: QuoteFeed) -> None:
        super().__init__(database, quotes)
        self.clients: dict[str, Client] = {}
        self.forgotten: list[AccountRef] = []
        self.is_kept = True
        self._view_only: set[str] = set()

    async def enlist(self, login: str, now: datetime, *, password: str = "master-1", investor: str = "investor-1",
                     trouble: str | None = None, seen_as: str | None = None) -> str:
        """Open an account with the broker; returns its login."""
        await self.open_account(login, currency="USD", deposit=Decimal(5000), now=now)
        self.clients[login] = Client(password, investor, trouble, seen_as)
        return login

    async def verify(self, ref: AccountRef, password: str, *, keep: bool = True) -> AccountSnapshot:
        self.calls["verify"] += 1
        self.is_kept = keep
        if ref.server.casefold() != SERVER.casefold():
            raise GatewayError("broker_unknown", f"No such server ({password}).", permanent=True)
        client = self.clients.get(ref.login)
        if client is not None and client.trouble is not None:
            raise GatewayError(client.trouble, f"It did not work ({password}).", permanent=True)
        if client is None or password not in (client.password, client.investor):
            raise GatewayError("wrong_password", f"Not {password}.", permanent=True)
        if keep:
            self._view_only.discard(ref.login)
            if password == client.investor:
                self._view_only.add(ref.login)
        snapshot = await self.account(ref)
        return replace(snapshot, login=client.seen_as or snapshot.login, can_trade=password == client.password)

    async def forget(self, ref: AccountRef) -> None:
        self.forgotten.append(ref)

    async def account(self, ref: AccountRef) -> AccountSnapshot:
        found = await super().account(AccountRef(ref.login, PAPER))
        return replace(found, server=SERVER, broker=BROKER, can_trade=ref.login not in self._view_only)

    async def positions(self, ref: AccountRef) -> Sequence[Position]:
        return await super().positions(AccountRef(ref.login, PAPER))
