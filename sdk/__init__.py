"""A device of the desk: trades and reports one account at a trading terminal.

    client = DeviceClient(DeviceSettings(url, data, AccountRef(login, server), code="ABCDE-FGHJK"),
                          metatrader(folder, data, password, environment))
    await client.run(stopping)
"""

from sdk.client import DeviceClient, DeviceSettings, NotPaired
from sdk.keys import Key
from sdk.policy import Policy
from sdk.rules import Rules
from sdk.state import StateBroken
from sdk.terminals import Terminal, metatrader
from terminal.protocol import AccountRef

__all__ = ["AccountRef", "DeviceClient", "DeviceSettings", "Key", "NotPaired", "Policy", "Rules", "StateBroken",
           "Terminal", "metatrader"]
