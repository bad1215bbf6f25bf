"""Users: who they are, what roles they hold, what they want to hear."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from models.provider import Follow, Provider
from models.user import CardNotice, Role, RoleName, User
from services import audit
from services.errors import NotFound
from services.upsert import insert


@dataclass(frozen=True, slots=True)
class Person:
    """What Telegram says of a user. Names are their owner's free text: never trusted, always escaped."""

    telegram_id: int
    first_name: str
    last_name: str | None = None
    username: str | None = None
    language_code: str | None = None


async def enter(session: AsyncSession, person: Person, now: datetime, *, auto_follow: bool,
                admin_ids: tuple[int, ...] = ()) -> int:
    """Create the user or refresh their names; returns our user id. A new user follows every provider."""
    user_id, is_new = await _create_or_rename(session, person, now)
    if is_new and auto_follow:
        await _follow_everyone(session, user_id, now)
    if is_new and person.telegram_id in admin_ids:
        await name_admins(session, (person.telegram_id,), now)
    return user_id


async def _create_or_rename(session: AsyncSession, person: Person, now: datetime) -> tuple[int, bool]:
    names = {"first_name": person.first_name[:256], "last_name": person.last_name, "username": person.username,
             "language_code": person.language_code}
    statement = insert(session, User).values(telegram_id=person.telegram_id, card_notice=CardNotice.ON,
                                             created_at=now, **names)
    statement = statement.on_conflict_do_nothing(index_elements=["telegram_id"])
    user_id: int | None = await session.scalar(statement.returning(User.id))
    if user_id is not None:
        audit.record(session, now, "user_created", "user", user_id, user_id=user_id)
        return user_id, True
    await session.execute(update(User).where(User.telegram_id == person.telegram_id).values(**names))
    found = await session.scalar(select(User.id).where(User.telegram_id == person.telegram_id))
    assert found is not None
    return found, False


async def _follow_everyone(session: AsyncSession, user_id: int, now: datetime) -> None:
    everyone = select(Provider.id, literal(user_id), literal(now, type_=Follow.created_at.type)).where(
        Provider.disabled_at.is_(None))
    statement = insert(session, Follow).from_select(["provider_id", "user_id", "created_at"], everyone)
    await session.execute(statement)


async def by_id(session: AsyncSession, user_id: int) -> User:
    """The user; NotFound when there is none."""
    user = await session.get(User, user_id)
    if user is None:
        raise NotFound
    return user


async def by_telegram_id(session: AsyncSession, telegram_id: int) -> User | None:
    return await session.scalar(select(User).where(User.telegram_id == telegram_id))


async def roles_of(session: AsyncSession, user_id: int) -> list[str]:
    rows = await session.scalars(select(Role.name).where(Role.user_id == user_id).order_by(Role.name))
    return list(rows)


async def name_admins(session: AsyncSession, telegram_ids: tuple[int, ...], now: datetime) -> None:
    """Give the admin role to those of the configured ids who are users already or become so now."""
    for telegram_id in telegram_ids:
        user_id = await session.scalar(select(User.id).where(User.telegram_id == telegram_id))
        if user_id is not None:
            statement = insert(session, Role).values(user_id=user_id, name=RoleName.ADMIN, granted_at=now)
            await session.execute(statement.on_conflict_do_nothing())


async def admins(session: AsyncSession) -> list[int]:
    """The Telegram ids of the admins who can be written to."""
    return list(await session.scalars(
        select(User.telegram_id).join(Role, Role.user_id == User.id)
        .where(Role.name == RoleName.ADMIN, User.blocked_at.is_(None)).order_by(User.id)))


async def mark_blocked(session: AsyncSession, telegram_id: int, now: datetime) -> None:
    """The bot may not write to this user any more."""
    await session.execute(
        update(User).where(User.telegram_id == telegram_id, User.blocked_at.is_(None)).values(blocked_at=now))


async def mark_reachable(session: AsyncSession, telegram_id: int) -> None:
    await session.execute(update(User).where(User.telegram_id == telegram_id).values(blocked_at=None))


async def set_card_notice(session: AsyncSession, user_id: int, notice: CardNotice) -> None:
    await session.execute(update(User).where(User.id == user_id).values(card_notice=notice))
