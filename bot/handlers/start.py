"""/start, /help and everything else a newcomer says first."""

from html import escape

from aiogram import Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import ChatMemberUpdated, Message

from bot import keyboards, numbers, texts
from bot.clock import now
from bot.keyboards import Links
from bot.replies import Replies
from services import accounts, entry, users
from services.desk import Desk
from services.errors import DomainError
from services.users import Person


def router() -> Router:
    """Commands that need no account yet."""
    made = Router(name="start")
    made.message.register(start, CommandStart())
    made.message.register(help_, Command("help"))
    made.message.register(privacy, Command("privacy"))
    made.message.register(terms, Command("terms"))
    made.my_chat_member.register(reachable)
    return made


PAYLOADS = {"privacy": texts.PRIVACY, "terms": texts.TERMS}


async def start(message: Message, command: CommandObject, desk: Desk, replies: Replies, links: Links) -> None:
    """Create or refresh the user by their Telegram id, and greet, or say what the link they followed asked for."""
    who = message.from_user
    if who is None:
        return
    async with desk.database.reading() as session:
        is_known = await users.by_telegram_id(session, who.id) is not None
    moment = now()
    user_id = await entry.enter(desk, Person(who.id, who.first_name, who.last_name, who.username,
                                             who.language_code), moment)
    async with desk.database.writing() as session:
        await users.mark_reachable(session, who.id)
    name = escape(who.first_name)
    asked = PAYLOADS.get(command.args or "")
    if asked is not None and is_known:
        replies.say(asked)
        return
    text = texts.WELCOME_BACK.format(name=name) if is_known else await _welcome(desk, user_id, name)
    replies.say(text, keyboards.app(links))
    if asked is not None:
        replies.say(asked)


async def _welcome(desk: Desk, user_id: int, name: str) -> str:
    """Say what is on the paper account, when there is one."""
    try:
        async with desk.database.reading() as session:
            account = await accounts.primary(session, user_id)
        found = await desk.positions.live(account, now())
    except DomainError:
        return texts.WELCOME_PLAIN.format(name=name)
    balance = numbers.money(found.snapshot.balance, found.snapshot.currency)
    return texts.WELCOME.format(name=name, balance=balance)


async def help_(_message: Message, replies: Replies, links: Links) -> None:
    commands = "\n".join(f"/{name} – {text}" for name, text in texts.COMMANDS.items())
    replies.say(texts.HELP.format(commands=commands), keyboards.app(links))


async def privacy(_message: Message, replies: Replies) -> None:
    replies.say(texts.PRIVACY)


async def terms(_message: Message, replies: Replies) -> None:
    replies.say(texts.TERMS)


async def reachable(event: ChatMemberUpdated, desk: Desk) -> None:
    """The user has blocked the bot, or let it speak again."""
    async with desk.database.writing() as session:
        if event.new_chat_member.status in ("kicked", "left"):
            await users.mark_blocked(session, event.chat.id, now())
        else:
            await users.mark_reachable(session, event.chat.id)
