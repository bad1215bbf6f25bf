"""Starting a terminal and signing in to its account, under one deadline."""

import asyncio
from collections.abc import Callable

from terminal.mt5 import wire
from terminal.mt5.calls import SupervisionRules
from terminal.mt5.conversation import Broken, Conversation
from terminal.mt5.launch import Launcher
from terminal.protocol import AccountRef, AccountSnapshot, GatewayError

GOODBYE_SECONDS = 0.5


class Terminal:
    """A terminal that is signed in. ``snapshot`` is what it said of its account when it was."""

    def __init__(self, conversation: Conversation, snapshot: AccountSnapshot, release: Callable[[], None]) -> None:
        self.conversation, self.snapshot = conversation, snapshot
        self._release = release

    @property
    def is_over(self) -> bool:
        """Whether it has died, hung or talked nonsense."""
        return self.conversation.broken is not None

    def is_of(self, ref: AccountRef) -> bool:
        """Whether it is signed in to the account that is meant."""
        return is_of(self.snapshot, ref)

    async def close(self, seconds: float = 0.0) -> None:
        """Ask it to go, for so long, then end it; its place is free when it is gone."""
        try:
            await self.conversation.close(seconds)
        finally:
            self._release()


def is_of(snapshot: AccountSnapshot, ref: AccountRef) -> bool:
    """Whether these are the figures of this account."""
    return snapshot.login == ref.login and snapshot.server.casefold() == ref.server.casefold()


async def signed_in(launcher: Launcher, ref: AccountRef, password: str, rules: SupervisionRules,
                    release: Callable[[], None], *, fresh: bool = False) -> Terminal:
    """A terminal of the account, or GatewayError and nothing left of the attempt but its place."""
    conversation: Conversation | None = None
    try:
        async with asyncio.timeout(rules.start_seconds):
            conversation = Conversation(await launcher.launch(ref, fresh=fresh))
            conversation.cover(password)
            await conversation.hello()
            answer = await conversation.ask("open", {
                "login": ref.login, "server": ref.server, "password": password, "path": conversation.path,
                "timeout_seconds": rules.start_seconds}, rules.start_seconds)
            return Terminal(conversation, wire.revive(AccountSnapshot, answer), release)
    except BaseException as error:
        if conversation is not None:
            conversation.kill()
            await conversation.close()
        if isinstance(error, Broken):
            raise GatewayError(error.code, error.detail, retryable=True) from None
        if isinstance(error, TimeoutError):
            raise GatewayError("terminal_hangs", f"The terminal did not start in {rules.start_seconds:g} seconds.",
                               retryable=True) from None
        if isinstance(error, ValueError):
            raise GatewayError("bad_answer", "The worker's account cannot be read.", retryable=True) from None
        raise
