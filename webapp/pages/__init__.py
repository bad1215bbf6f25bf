"""The Mini App: public shells without data, and the fragments that fill them for whoever is signed in."""

from aiohttp import web

from webapp.pages import (
    accounts,
    approvals,
    assets,
    billing,
    devices,
    expert,
    history,
    positions,
    rendering,
    settings,
    shells,
    symbols,
)


def setup(app: web.Application) -> None:
    """Read templates and static files."""
    files = assets.Assets()
    app[assets.key] = files
    app[expert.key] = expert.packed()
    rendering.environment(app, files)


def routes() -> list[web.RouteDef]:
    """Shells, fragments, static files, the Expert Advisor."""
    return [
        web.get("/app", shells.show("approvals")),
        *(web.get(f"/app/{name}", shells.show(name)) for name in shells.PAGES),
        web.get("/app/fragments/approvals", approvals.listed),
        web.get("/app/fragments/approvals/{id}", approvals.outcome),
        web.get("/app/fragments/positions", positions.listed),
        web.get("/app/fragments/positions/closed", history.closed),
        web.get("/app/fragments/accounts", accounts.listed),
        web.get("/app/fragments/accounts/{id}/symbols", symbols.listed),
        web.get("/app/fragments/devices/{id}/doctor", devices.examined),
        web.get("/app/fragments/billing", billing.show),
        web.get("/app/fragments/billing/invoices", billing.invoices),
        web.get("/app/fragments/billing/preview", billing.preview),
        web.get("/app/fragments/settings", settings.show),
        web.post("/app/fragments/settings/notice", settings.set_notice),
        web.get(expert.PATH, expert.load),
        web.get("/static/{digest:[0-9a-f]{16}}/{name:.+}", assets.serve),
    ]
