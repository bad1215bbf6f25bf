"""Who a device is to its desk."""

import re
from dataclasses import dataclass

from wire import signing


@dataclass(frozen=True, slots=True)
class Key:
    """A device's id and the 32 bytes of its secret."""

    device_id: str
    secret: bytes

    @classmethod
    def of(cls, device_id: str, secret: str) -> "Key":
        """From the texts the desk has shown; ValueError for what cannot be one."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,32}", device_id):
            raise ValueError("not a device's id")
        try:
            decoded = signing.decode_secret(secret.strip())
        except ValueError as error:
            raise ValueError("not a secret") from error
        if len(decoded) != 32 or not re.fullmatch(r"[A-Za-z0-9_-]{43}", secret.strip()):
            raise ValueError("not a secret")
        return cls(device_id, decoded)

    def __repr__(self) -> str:
        return f"Key({self.device_id!r})"
