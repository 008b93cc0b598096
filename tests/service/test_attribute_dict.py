from typing import Any

import pytest

from tests.service.running import run_async
from zato_lite.service.attribute_dict import Config, MissingSettingError
from zato_lite.service.base import Service


async def test_config_holds_the_settings_of_the_user() -> None:
    def look(self: Service) -> list[Any]:
        return [self.config.crm.url, self.user_config.crm.url]

    assert await run_async(look, config={"crm": {"url": "http://crm"}}) == ["http://crm"] * 2


async def test_a_missing_setting_is_an_error_of_the_server() -> None:
    with pytest.raises(MissingSettingError) as caught:
        await run_async(lambda self: self.config.crm.nope, config={"crm": {"url": "http://crm"}})

    assert str(caught.value) == "[user.crm] nope is not set; available: url"
    assert caught.value.status == 500
    assert not hasattr(Config({}), "nope")


def test_a_setting_may_be_named_path() -> None:
    assert Config({"path": "/data"}).path == "/data"
    with pytest.raises(MissingSettingError, match=r"\[user\] other is not set; available: path"):
        _ = Config({"path": "/data"}).other
