"""A desk that sells for Stars no more: who has bought goes on."""

from pathlib import Path

from tests.running import until, world


async def test_a_renewal_is_heard_where_stars_are_not_offered(tmp_path: Path) -> None:
    async with world(tmp_path) as opened:
        ada = await opened.console.user("Ada")
        await opened.console.start(ada)
        token = await opened.api.sign_in(await opened.console.init_data(ada))
        _, made = await opened.api.call("POST", "/api/v1/billing/checkout", token=token, body={"tier": "premium"},
                                        headers={"Idempotency-Key": "k1"})
        done = await opened.console.post(f"/stars/invoices/{made['url'].removeprefix('https://t.me/$')}/pay",
                                         {"user_id": ada})
        assert done["paid"], done
        await opened.desk.kill()
        with (tmp_path / "config.toml").open("a") as file:
            file.write("\n[billing.providers]\napp = []\nchat = []\n")
        await opened.desk.start()
        await opened.console.post(f"/stars/subscriptions/{done['charge_id']}/renew", {})

        async def both() -> bool:
            _, found = await opened.api.call("GET", "/api/v1/billing/receipts", token=token)
            return len(found["items"]) == 2

        await until("both payments are in the books", both)
        status, _ = await opened.api.call("POST", "/api/v1/billing/checkout", token=token, body={"tier": "premium"},
                                          headers={"Idempotency-Key": "k2"})
        assert status == 503
