"""The balance by currency and kind: what a shop's ledger must agree with."""

from typing import Any

from sandbox.stripe.world import World


def balance(world: World) -> dict[str, Any]:
    """Sums and every entry, in minor units: charges in, refunds and disputes out, their reversals in again."""
    sums: dict[str, dict[str, int]] = {}
    entries = []
    for entry in world.of_kind("balance_transaction"):
        kinds = sums.setdefault(entry["currency"], {})
        kinds[entry["reporting_category"]] = kinds.get(entry["reporting_category"], 0) + entry["amount"]
        entries.append({"id": entry["id"], "kind": entry["reporting_category"], "source": entry["source"],
                        "amount": entry["amount"], "currency": entry["currency"], "created": entry["created"]})
    return {"sums": sums, "totals": {currency: sum(kinds.values()) for currency, kinds in sums.items()},
            "entries": entries}
