"""The process of one account at one terminal: ``python -m terminal.mt5.worker``, spoken to in frames over its pipes.

It does one thing at a time and never gives up by itself: a call into the library holds the whole process, so
deadlines are the caller's, who ends the process. Standard output carries frames and nothing else.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO

from terminal.mt5 import faults, frames, library, lookup, telling, wire
from terminal.mt5.checks import Rules
from terminal.mt5.library import CallFailed, Library
from terminal.mt5.session import Session
from terminal.mt5.trading import Trader
from terminal.protocol import GatewayError, OrderRequest, Side

TERMINAL_GONE, BAD_CONVERSATION = 3, 2

Args = dict[str, Any]


class Worker:
    """Answers requests. After ``open`` it has a session; an end of the terminal ends the worker as well."""

    def __init__(self, module: Any | None) -> None:
        self._module = module
        self._session: Session | None = None
        self._trader: Trader | None = None
        self.leaving: int | None = None
        self._operations: dict[str, Callable[[Args], Any]] = {
            "open": self._open, "shutdown": self._shutdown, "ping": self._ping,
            "account": lambda _: self._at.account(), "positions": lambda _: self._at.positions(),
            "orders": lambda _: self._at.orders(), "symbols": lambda _: self._at.symbols(),
            "symbol": lambda args: self._at.symbol(args["name"]), "tick": lambda args: self._at.tick(args["symbol"]),
            "loss": self._loss, "send": self._send, "close": self._close, "take_target": self._take_target,
            "modify": self._modify,
            "cancel": lambda args: self._trading.cancel(int(args["ticket"])), "find": self._find,
            "knows_time": lambda _: {"knows": self._at.knows_time()},
            "terminal": lambda _: telling.state(self._at), "listing": self._listing,
            "deals": lambda args: self._at.deals(moment(args["since"]))}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of a request, whatever it is; it has the request's number."""
        number, name = request.get("id"), request.get("op")
        before = self._handed_over
        try:
            operation = self._operations.get(name) if isinstance(name, str) else None
            args = request.get("args", {})
            if operation is None or not isinstance(args, dict):
                raise GatewayError("invalid_request", "There is no such operation.")
            return {"id": number, "ok": wire.plain(operation(args))}
        except GatewayError as error:
            return self._failure(number, error)
        except CallFailed as failed:
            return self._failure(number, failed.as_error())
        except (KeyError, ValueError, TypeError, InvalidOperation) as error:
            traceback.print_exc()
            return self._failure(number, GatewayError("invalid_request", f"{type(error).__name__} in {name}.",
                                                      ambiguous=self._handed_over > before))
        except Exception as error:
            traceback.print_exc()
            return self._failure(number, GatewayError("bad_answer", f"{type(error).__name__} in {name}.",
                                                      ambiguous=self._handed_over > before))

    def _failure(self, number: Any, error: GatewayError) -> dict[str, Any]:
        if error.code == "terminal_lost" and self._session is not None:
            self.leaving = TERMINAL_GONE
        return {"id": number, "error": faults.plain(error)}

    @property
    def _handed_over(self) -> int:
        return self._session.handed_over if self._session is not None else 0

    # -- operations ----------------------------------------------------------------------------------------

    @property
    def _at(self) -> Session:
        if self._session is None:
            raise GatewayError("invalid_request", "No account is open.")
        return self._session

    @property
    def _trading(self) -> Trader:
        assert self._at is not None and self._trader is not None
        return self._trader

    def _open(self, args: Args) -> Any:
        password = args.pop("password")
        if self._session is not None:
            raise GatewayError("invalid_request", "A worker opens one account in its life.")
        module = self._module if self._module is not None else library.load()
        session = Session(Library(module), str(args["login"]), args["server"])
        try:
            snapshot = session.sign_in(args["path"], password, float(args["timeout_seconds"]))
        except (GatewayError, CallFailed):
            module.shutdown()
            raise
        self._session, self._trader = session, Trader(session)
        return snapshot

    def _shutdown(self, args: Args) -> Any:
        self.close()
        self.leaving = 0
        return {}

    def _ping(self, args: Args) -> Any:
        return {"connected": self._session is not None and self._session.is_connected()}

    def _loss(self, args: Args) -> Any:
        return self._at.loss(args["symbol"], Side(args["side"]), Decimal(args["volume"]), Decimal(args["open_price"]),
                             Decimal(args["close_price"]))

    def _send(self, args: Args) -> Any:
        trader, rules = self._trading, args.get("rules") or {}
        return trader.send(wire.revive(OrderRequest, args["request"]), Rules.of(rules))

    def _close(self, args: Args) -> Any:
        magic = args.get("magic")
        return self._trading.close(int(args["ticket"]), decimal(args.get("volume")),
                                   None if magic is None else int(magic))

    def _take_target(self, args: Args) -> Any:
        return self._trading.take_target(int(args["ticket"]), Decimal(args["volume"]), int(args["magic"]))

    def _modify(self, args: Args) -> Any:
        return self._trading.modify(int(args["ticket"]), decimal(args.get("stop_loss")),
                                    decimal(args.get("take_profit")))

    def _find(self, args: Args) -> Any:
        since = args.get("since")
        return lookup.find(self._at, int(args["magic"]), moment(since) if since is not None else None)

    def _listing(self, args: Args) -> Any:
        names = args.get("names")
        return telling.listing(self._at, None if names is None else [str(name) for name in names])

    def close(self) -> None:
        if self._session is not None:
            self._session.library.close()


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("an instant without its zone")
    return found


def decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def serve(worker: Worker, source: BinaryIO, sink: BinaryIO, hello: dict[str, Any]) -> int:
    """Answer until the other side is gone, asks for the end, or stops making sense; the process's exit code."""
    def say(message: dict[str, Any]) -> None:
        sink.write(frames.encode(message))
        sink.flush()

    say({"hello": hello})
    try:
        while (request := frames.read_blocking(source)) is not None:
            answer = worker.answer(request)
            try:
                say(answer)
            except ValueError:
                say({"id": answer.get("id"), "error": faults.plain(
                    GatewayError("bad_answer", "The answer is too long for a frame."))})
            if worker.leaving is not None:
                return worker.leaving
    except frames.BadFrame as error:
        sys.stderr.write(f"not a frame: {error}\n")
        return BAD_CONVERSATION
    except BrokenPipeError:
        pass
    worker.close()
    return 0


def frame_pipe() -> BinaryIO:
    """Standard output for frames alone: whatever else writes to it, in Python or below, goes to the errors."""
    sys.stdout.flush()
    mine = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    if sys.platform == "win32":
        import msvcrt
        msvcrt.setmode(mine, os.O_BINARY)
    return os.fdopen(mine, "wb", buffering=0)


def main() -> int:
    sink = frame_pipe()
    # The library takes times without a zone for the process's own.
    os.putenv("TZ", "UTC")
    if sys.platform != "win32":
        time.tzset()
    try:
        module = library.load()
    except GatewayError:
        module = None
    return serve(Worker(module), sys.stdin.buffer, sink, {
        "protocol": frames.PROTOCOL, "library": getattr(module, "__version__", ""), "pid": os.getpid()})


if __name__ == "__main__":
    sys.exit(main())
