"""A worker of a few lines that speaks the true frames and misbehaves on demand, one operation at a time.

What it shall do is in ``STAND_IN/<login>.json``: an object of operations and acts. What it has done is in
``STAND_IN/<login>.log``. Before it has been told its login it goes by ``_``.
"""

import json
import os
import struct
import subprocess
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from terminal.mt5 import frames, wire
from terminal.protocol import AccountSnapshot, ResultStatus, SymbolSpec, Tick, TradeResult

FOLDER = Path(os.environ["STAND_IN"])
OUT = sys.stdout.buffer


def say(message: dict[str, Any]) -> None:
    OUT.write(frames.encode(message))
    OUT.flush()


def act_of(login: str, op: str) -> Any:
    try:
        return json.loads((FOLDER / f"{login}.json").read_text()).get(op)
    except FileNotFoundError:
        return None


def note(login: str, op: str) -> None:
    with (FOLDER / f"{login}.log").open("a") as file:
        file.write(f"{op}\n")


def misbehave(act: Any, number: int) -> None:
    match act:
        case "hang":
            time.sleep(100)
        case "family":
            subprocess.Popen(["sleep", "100"])
            time.sleep(100)
        case "orphan":
            subprocess.Popen(["sleep", "100"])
            os.kill(os.getpid(), 9)
        case "die":
            os.kill(os.getpid(), 9)
        case "garbage":
            OUT.write(b"Traceback (most recent call last)!")
            OUT.flush()
            time.sleep(100)
        case "not_json":
            OUT.write(struct.pack(">I", 4) + b"oops")
            OUT.flush()
        case "oversized":
            OUT.write(struct.pack(">I", frames.MOST_BYTES + 1))
            OUT.flush()
            time.sleep(100)
        case "half":
            OUT.write(frames.encode({"id": number, "ok": None})[:-3])
            OUT.flush()
            time.sleep(100)
        case "wrong_id":
            say({"id": number + 1, "ok": None})
        case {"sleep": float(seconds)}:
            time.sleep(seconds)


def snapshot(login: str, server: str) -> AccountSnapshot:
    figures = Decimal("1000.00")
    return AccountSnapshot(login, server, "Broker", "USD", 100, "hedging", figures, figures, Decimal(0), figures, None,
                           datetime.now(UTC))


def spec(name: str) -> SymbolSpec:
    one = Decimal(1)
    return SymbolSpec(name, "", 5, one, one, one, one, one, one, 0, "EUR", "USD", "EUR", "forex")


def answer_to(op: str, args: dict[str, Any], account: AccountSnapshot) -> Any:
    filled = TradeResult(ResultStatus.FILLED, 10009, 7, Decimal("1.1"), Decimal("0.10"), None)
    answers: dict[str, Any] = {
        "account": account, "positions": [], "orders": [], "deals": [], "find": None, "ping": {"connected": True},
        "symbol": None if args.get("name") == "NONE" else spec(args.get("name", "")),
        "symbols": [spec(f"S{number}") for number in range(300)] if op == "symbols" else [],
        "tick": Tick(args.get("symbol", ""), Decimal("1.1"), Decimal("1.2"), datetime.now(UTC)), "loss": "-12.50"}
    return wire.plain(answers.get(op, filled))


def main() -> None:
    login = "_"
    act = act_of(login, "hello")
    misbehave(act, 0)
    say({"hello": {"protocol": 99 if act == "protocol" else frames.PROTOCOL, "library": "none", "pid": os.getpid()}})
    account = snapshot(login, "")
    while (message := frames.read_blocking(sys.stdin.buffer)) is not None:
        number, op, args = message["id"], message["op"], message["args"]
        if op == "open":
            login = args["login"]
            note(login, f"path {args['path']}")
            account = snapshot(login, act_of(login, "named") or args["server"])
        act = act_of(login, op)
        note(login, op)
        misbehave(act, number)
        if op == "open" and act == "shout":
            sys.stderr.write(f"signing in with {args['password']} or {args['password']!r}\n")
            sys.stderr.write(f"{json.dumps(args)}\n")
            sys.stderr.write("x" * 8_150 + args["password"] * 3 + "\n")
            sys.stderr.flush()
        match act:
            case "stranger":
                account = snapshot("999", account.server)
                say({"id": number, "ok": wire.plain(account)})
            case "nonsense":
                say({"id": number, "ok": {"not": "a value"}})
            case {"answer": answer}:
                say({"id": number, "ok": answer})
            case {"error": dict(error)}:
                detail = error.get("detail", "").replace("PASSWORD", args.get("password", ""))
                say({"id": number, "error": {"retryable": False, "ambiguous": False, "permanent": False, **error,
                                             "detail": detail}})
            case _:
                for _ in range(2 if act == "twice" else 1):
                    say({"id": number, "ok": account_or(op, args, account)})
        if op == "shutdown":
            return


def account_or(op: str, args: dict[str, Any], account: AccountSnapshot) -> Any:
    return wire.plain(account) if op == "open" else answer_to(op, args, account)


if __name__ == "__main__":
    main()
