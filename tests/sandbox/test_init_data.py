"""Launch data is signed as Telegram signs it: two other readers agree."""

import json
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from aiogram.utils.web_app import safe_parse_webapp_init_data
from aiogram.utils.web_app_signature import check_webapp_signature

from sandbox import BOT_ID, init_data, new_token
from services.errors import InvalidInitData
from services.init_data import verify
from tests.sandbox.conftest import ADA, Stage

USER = {"id": ADA, "first_name": "Ada & <b>Zoë</b> 𝄞 +1", "language_code": "en"}


def signed(token: str, auth_date: int | None = None) -> str:
    return init_data.sign(USER, bot_token=token, auth_date=auth_date or int(time.time()), chat_instance="-123",
                          start_param="sig_7")


def test_aiogram_reads_it() -> None:
    token = new_token()
    read = safe_parse_webapp_init_data(token, signed(token))
    assert read.user is not None and (read.user.id, read.user.first_name) == (ADA, USER["first_name"])
    assert (read.chat_type, read.chat_instance, read.start_param) == ("sender", "-123", "sig_7")
    assert read.query_id
    with pytest.raises(ValueError, match="Invalid init data signature"):
        safe_parse_webapp_init_data(new_token(), signed(token))


def test_the_product_reads_it() -> None:
    token, now = new_token(), datetime.now(UTC)
    read = verify(signed(token), token, now, max_age_seconds=60, max_future_seconds=5)
    assert (read.user.telegram_id, read.user.first_name, read.start_param) == (ADA, USER["first_name"], "sig_7")
    with pytest.raises(InvalidInitData):
        verify(signed(token), token, now + timedelta(seconds=70), max_age_seconds=60, max_future_seconds=5)
    with pytest.raises(InvalidInitData):
        verify(signed(token).replace("sig_7", "sig_8"), token, now, max_age_seconds=60, max_future_seconds=5)


def test_the_signature_for_third_parties_holds() -> None:
    token = new_token()
    data = signed(token)
    assert check_webapp_signature(BOT_ID, data, init_data.public_key(token))
    assert not check_webapp_signature(BOT_ID + 1, data, init_data.public_key(token))
    assert not check_webapp_signature(BOT_ID, data, init_data.public_key(new_token()))
    assert not check_webapp_signature(BOT_ID, data)


async def test_the_control_api_signs_for_its_people(stage: Stage) -> None:
    before = (await stage.get(f"/users/{ADA}/init-data"))["init_data"]
    read = safe_parse_webapp_init_data(stage.token, before)
    assert read.user is not None and (read.user.id, read.user.username) == (ADA, "ada")
    assert abs(read.auth_date.timestamp() - time.time()) < 5
    assert "allows_write_to_pm" not in json.loads(dict(parse_qsl(before))["user"])
    await stage.write(ADA)
    after = (await stage.get(f"/users/{ADA}/init-data"))["init_data"]
    assert json.loads(dict(parse_qsl(after))["user"])["allows_write_to_pm"] is True
