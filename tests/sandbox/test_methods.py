"""The Bot API's methods through aiogram's own client: results it can parse, errors of the right class."""

from typing import Any

import aiohttp
import pytest
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendDice
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MenuButtonWebApp,
    ReplyKeyboardRemove,
    ReplyParameters,
    WebAppInfo,
)

from sandbox import new_token
from tests.sandbox.conftest import ADA, BORIS, Stage, bot_at


def keyboard(**button: Any) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=[[InlineKeyboardButton(text="Go", **button)]])


async def test_the_bot_knows_itself(stage: Stage) -> None:
    me = await stage.bot.me()
    assert (me.id, me.is_bot) == (stage.bot.id, True)


async def test_messages_are_kept_edited_and_deleted(stage: Stage) -> None:
    await stage.write(ADA)
    sent = await stage.bot.send_message(ADA, "<b>Gold</b> &lt;3", parse_mode="HTML",
                                        reply_markup=keyboard(callback_data="a", style="success"))
    assert (sent.text, sent.html_text) == ("Gold <3", "<b>Gold</b> &lt;3")
    assert sent.reply_markup is not None and sent.reply_markup.inline_keyboard[0][0].style == "success"
    edited = await sent.edit_text("Gold, approved")
    assert edited.text == "Gold, approved" and edited.reply_markup is None and edited.edit_date  # type: ignore[union-attr]
    shown = (await stage.get(f"/chats/{ADA}/messages"))[-1]
    assert (shown["message_id"], shown["from"], shown["text"], shown["buttons"]) == (
        sent.message_id, "bot", "Gold, approved", [])
    await sent.delete()
    assert [m["from"] for m in await stage.get(f"/chats/{ADA}/messages")] == ["user"]
    logged = (await stage.get("/log"))["chats"][str(ADA)][-1]
    assert (logged["texts"], logged["edits"], logged["deleted"]) == (["Gold <3", "Gold, approved"], 1, True)


async def test_markup_can_be_edited_alone_and_replies_refer(stage: Stage) -> None:
    first = await stage.write(ADA)
    sent = await stage.bot.send_message(ADA, "x", reply_markup=keyboard(callback_data="a"),
                                        reply_parameters=ReplyParameters(message_id=first))
    assert sent.reply_to_message is not None and sent.reply_to_message.message_id == first
    edited = await sent.edit_reply_markup(reply_markup=None)
    assert edited.text == "x" and edited.reply_markup is None  # type: ignore[union-attr]
    with pytest.raises(TelegramBadRequest, match="message is not modified"):
        await sent.edit_reply_markup(reply_markup=None)


@pytest.mark.parametrize(("method", "params", "says"), [
    ("sendMessage", {"chat_id": ADA, "text": "  "}, "message text is empty"),
    ("sendMessage", {"chat_id": ADA, "text": "x" * 4097}, "message is too long"),
    ("sendMessage", {"chat_id": ADA, "text": "𝄞" * 2049}, "message is too long"),
    ("sendMessage", {"chat_id": BORIS, "text": "x"}, "chat not found"),
    ("sendMessage", {"chat_id": 1, "text": "x"}, "chat not found"),
    ("sendMessage", {"text": "x"}, "chat_id is empty"),
    ("sendMessage", {"chat_id": ADA, "text": "<b>x", "parse_mode": "HTML"},
     "can't parse entities: Can't find end tag corresponding to start tag \"b\""),
    ("sendMessage", {"chat_id": ADA, "text": "\ud800"}, "strings must be encoded in UTF-8"),
    ("editMessageText", {"chat_id": ADA, "message_id": 999, "text": "x"}, "message to edit not found"),
    ("editMessageText", {"chat_id": ADA, "message_id": 1, "text": "x"}, "message can't be edited"),
    ("deleteMessage", {"chat_id": ADA, "message_id": 999}, "message to delete not found"),
    ("sendChatAction", {"chat_id": ADA, "action": "dancing"}, "wrong parameter action in request"),
    ("answerCallbackQuery", {"callback_query_id": "1"},
     "query is too old and response timeout expired or query ID is invalid"),
    ("setMyCommands", {"commands": [{"command": "Bad!", "description": "x"}]}, "BOT_COMMAND_INVALID"),
    ("setChatMenuButton", {"menu_button": {"type": "web_app", "text": "x", "web_app": {"url": "http://a.example"}}},
     "menu button Web App URL 'http://a.example' is invalid: Only HTTPS links are allowed"),
])
async def test_refusals_have_telegrams_words(stage: Stage, method: str, params: dict[str, Any], says: str) -> None:
    await stage.write(ADA)
    assert await stage.call(method, **params) == (
        400, {"ok": False, "error_code": 400, "description": f"Bad Request: {says}"})


@pytest.mark.parametrize(("button", "says"), [
    ({"callback_data": "x" * 65}, "BUTTON_DATA_INVALID"),
    ({"callback_data": "ä" * 33}, "BUTTON_DATA_INVALID"),
    ({"url": "not a url"}, "inline keyboard button URL 'not a url' is invalid: Wrong HTTP URL"),
    ({"web_app": {"url": "http://a.example/app"}},
     "inline keyboard button Web App URL 'http://a.example/app' is invalid: Only HTTPS links are allowed"),
    ({}, "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"),
    ({"callback_data": "x", "style": "pink"}, "can't parse inline keyboard button: invalid button style specified"),
])
async def test_bad_buttons_are_refused(stage: Stage, button: dict[str, Any], says: str) -> None:
    await stage.write(ADA)
    status, answer = await stage.call("sendMessage", chat_id=ADA, text="x",
                                      reply_markup={"inline_keyboard": [[{"text": "Go", **button}]]})
    assert (status, answer["description"]) == (400, f"Bad Request: {says}")


@pytest.mark.parametrize("url", ["https://a.example/app", "http://127.0.0.1:8080/app", "http://localhost/app"])
async def test_mini_apps_open_on_https_and_on_this_machine(stage: Stage, url: str) -> None:
    await stage.write(ADA)
    await stage.bot.send_message(ADA, "x", reply_markup=keyboard(web_app=WebAppInfo(url=url)))
    assert (await stage.get(f"/chats/{ADA}/messages"))[-1]["buttons"] == [[{"text": "Go", "web_app_url": url}]]


async def test_other_keyboards_are_taken(stage: Stage) -> None:
    await stage.write(ADA)
    sent = await stage.bot.send_message(ADA, "x", reply_markup=ReplyKeyboardRemove())
    assert sent.reply_markup is None


async def test_an_unchanged_edit_is_refused(stage: Stage) -> None:
    await stage.write(ADA)
    sent = await stage.bot.send_message(ADA, "<i>x</i>", parse_mode="HTML")
    with pytest.raises(TelegramBadRequest, match="message is not modified: specified new message content"):
        await sent.edit_text("<em>x</em>", parse_mode="HTML")
    assert (await stage.get("/log"))["chats"][str(ADA)][-1]["edits"] == 0


async def test_errors_have_their_classes(stage: Stage) -> None:
    stranger = bot_at(stage.base, new_token())
    with pytest.raises(TelegramUnauthorizedError):
        await stranger.me()
    await stranger.session.close()
    with pytest.raises(TelegramNotFound):
        await stage.bot(SendDice(chat_id=ADA))
    await stage.write(ADA)
    await stage.post(f"/users/{ADA}/block")
    with pytest.raises(TelegramForbiddenError, match="bot was blocked by the user"):
        await stage.bot.send_message(ADA, "x")
    await stage.write(ADA, "back again")
    await stage.bot.send_message(ADA, "x")


@pytest.mark.parametrize(("fault", "error"), [
    ("429", TelegramRetryAfter), ("502", TelegramServerError), ("403", TelegramForbiddenError),
    ("drop", TelegramNetworkError), ("timeout", TelegramNetworkError)])
async def test_faults_strike_as_often_as_asked(stage: Stage, fault: str, error: type[Exception]) -> None:
    await stage.write(ADA)
    await stage.post("/faults", {"target": "telegram", "fault": fault, "times": 2})
    await stage.bot.get_updates()
    for _ in range(2):
        with pytest.raises(error):
            await stage.bot.send_message(ADA, "x", request_timeout=1)
    await stage.bot.send_message(ADA, "y")
    texts = [m["text"] for m in await stage.get(f"/chats/{ADA}/messages") if m["from"] == "bot"]
    assert texts == (["x", "x", "y"] if fault == "drop" else ["y"])


async def test_a_fault_can_be_meant_for_one_method(stage: Stage) -> None:
    await stage.write(ADA)
    await stage.post("/faults", {"target": "telegram", "fault": "429", "times": 1, "method": "getUpdates",
                                 "retry_after": 7})
    await stage.bot.send_message(ADA, "x")
    with pytest.raises(TelegramRetryAfter) as caught:
        await stage.bot.get_updates()
    assert caught.value.retry_after == 7


async def test_parameters_come_in_every_form(stage: Stage) -> None:
    await stage.write(ADA)
    url = f"{stage.base}/bot{stage.token}/sendmessage"
    markup = '{"inline_keyboard":[[{"text":"A","callback_data":"a"}]]}'
    given = {"chat_id": str(ADA), "text": "hi", "reply_markup": markup}
    multipart = aiohttp.FormData(given, quote_fields=False)
    multipart._is_multipart = True
    for request in (stage.http.get(url, params=given), stage.http.post(url, data=given),
                    stage.http.post(url, data=multipart), stage.http.post(url, json=given)):
        async with request as answer:
            result = (await answer.json())["result"]
            assert result["reply_markup"]["inline_keyboard"][0][0]["callback_data"] == "a"
    async with stage.http.post(url, data=b"[1", headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 400


async def test_commands_and_menu_are_remembered_by_scope(stage: Stage) -> None:
    await stage.bot.set_my_commands([BotCommand(command="help", description="Help")])
    await stage.bot.set_my_commands([BotCommand(command="start", description="Start")],
                                    scope=BotCommandScopeAllPrivateChats())
    assert [c.command for c in await stage.bot.get_my_commands()] == ["help"]
    assert [c["command"] for c in (await stage.get(f"/chats/{ADA}"))["commands"]] == ["start"]
    await stage.bot.delete_my_commands(scope=BotCommandScopeAllPrivateChats())
    assert [c["command"] for c in (await stage.get(f"/chats/{ADA}"))["commands"]] == ["help"]
    button = MenuButtonWebApp(text="Open", web_app=WebAppInfo(url="http://127.0.0.1:1/app"))
    await stage.bot.set_chat_menu_button(menu_button=button)
    assert (await stage.bot.get_chat_menu_button(chat_id=ADA)).model_dump() == button.model_dump()


async def test_texts_about_the_bot_are_remembered(stage: Stage) -> None:
    await stage.bot.set_my_description("Nothing trades until you countersign it.")
    await stage.bot.set_my_short_description("Countersign")
    assert (await stage.bot.get_my_description()).description == "Nothing trades until you countersign it."
    assert (await stage.bot.get_my_short_description()).short_description == "Countersign"
    assert (await stage.get(f"/chats/{ADA}"))["description"] == "Nothing trades until you countersign it."
