"""What the desk is measured against, each a process of its own: a bare aiohttp handler, and FastAPI doing the same.

The FastAPI reference checks the token, reads the portfolio from Redis and answers it through a response model. It
counts no requests, gives them no ids and keeps no measures: what it does is less than what the desk does.
"""

import asyncio
import json
import os
import sys
from typing import Annotated, Any

import jwt
import uvicorn
import uvloop
from aiohttp import web
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel

from runtime import valkey


async def bare(port: int) -> None:
    """An aiohttp application that does nothing."""
    hello = web.Application()

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="hello")

    hello.router.add_get("/", answer)
    runner = web.AppRunner(hello, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


class Position(BaseModel):
    ticket: int
    symbol: str
    side: str
    volume: str
    entry_price: str
    current_price: str
    stop_loss: str | None
    take_profit: str | None
    profit: str
    profit_points: str
    profit_percent: str
    swap: str
    opened_at: str


class Portfolio(BaseModel):
    account_id: str
    currency: str
    balance: str
    equity: str
    margin: str
    free_margin: str
    margin_level: str | None
    drawdown_percent: str
    as_of: str
    stale: bool
    max_drawdown_percent: str
    day_change: str | None
    week_change: str | None
    open_positions_count: int
    total_profit: str
    total_profit_percent: str
    positions: list[Position]


def fastapi(redis_url: str, key: bytes) -> FastAPI:
    """The reference."""
    app, redis = FastAPI(), valkey.connect(redis_url)

    def user_of(authorization: Annotated[str, Header()]) -> str:
        try:
            claims: dict[str, Any] = jwt.decode(
                authorization.removeprefix("Bearer "), key, algorithms=["HS256"], audience="miniapp",
                issuer="countersign", options={"require": ["iss", "aud", "sub", "iat", "exp", "jti"]})
        except jwt.InvalidTokenError as error:
            raise HTTPException(401) from error
        return str(claims["sub"])

    # A dependency that is a coroutine costs less than one that is sent to a thread.
    async def signed_in(user: Annotated[str, Header(alias="Authorization")]) -> str:
        return user_of(user)

    @app.get("/api/v1/positions")
    async def positions(user: Annotated[str, Depends(signed_in)]) -> Portfolio:
        kept = await redis.get(f"bench:{user}")
        if kept is None:
            raise HTTPException(404)
        return Portfolio(**json.loads(kept))

    return app


def main() -> None:
    which, port = sys.argv[1], int(sys.argv[2])
    if which == "bare":
        uvloop.run(bare(port))
        return
    app = fastapi(os.environ["REDIS_URL"], bytes.fromhex(os.environ["JWT_KEY"]))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, loop="uvloop",
                http="httptools")


if __name__ == "__main__":
    main()
