"""How a person enters the desk, through whatever door: known by Telegram id, with a paper account to try."""

from datetime import datetime

from services import accounts, users
from services.desk import Desk
from services.users import Person


async def enter(desk: Desk, person: Person, now: datetime) -> int:
    """Create or refresh the user, and open their paper account; returns our user id. Safe to repeat."""
    terms = desk.onboarding
    async with desk.database.writing() as session:
        user_id = await users.enter(session, person, now, auto_follow=terms.auto_follow, admin_ids=terms.admin_ids)
    if terms.open_paper and desk.paper is not None:
        await accounts.open_paper(desk.database, desk.paper, user_id, now, currency=terms.paper_currency,
                                  deposit=terms.paper_deposit)
    return user_id
