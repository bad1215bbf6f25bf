"""Calling the MetaTrader5 package: it raises nothing, so every call is followed by a look at its last error."""

from typing import Any

from terminal.mt5 import faults
from terminal.protocol import GatewayError

SUCCESS = 1


class CallFailed(Exception):
    """A call gave nothing; ``code`` and ``text`` are the library's last error."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code
        self.text = text

    def as_error(self) -> GatewayError:
        return faults.of_call(self.code, self.text)


def load() -> Any:
    """The package, which exists on Windows only; GatewayError where it does not."""
    try:
        import MetaTrader5  # type: ignore[import-not-found]
    except ImportError as error:
        raise GatewayError("terminal_missing", "The MetaTrader5 package is not installed here.",
                           permanent=True) from error
    return MetaTrader5


class Library:
    """The package with its errors made visible. Nothing else may call it: the last error is the process's."""

    def __init__(self, module: Any) -> None:
        self._module = module

    def ask(self, name: str, *args: Any, **named: Any) -> Any:
        """The answer of a function; CallFailed when it gives none."""
        function = getattr(self._module, name)
        # The library refuses a request beside which names could stand, even when there are none: ``f(x, **{})``.
        answer = function(*args, **named) if named else function(*args)
        if answer is None or answer is False:
            code, text = self._module.last_error()
            raise CallFailed(int(code), str(text))
        return answer

    def maybe(self, name: str, *args: Any, **named: Any) -> Any | None:
        """The same for what may not exist; None then."""
        try:
            return self.ask(name, *args, **named)
        except CallFailed as failed:
            if failed.code in (SUCCESS, faults.NOT_FOUND):
                return None
            raise

    def rows(self, name: str, *args: Any, **named: Any) -> tuple[Any, ...]:
        """The rows a function finds; it gives nothing at all for none now and then."""
        return tuple(self.maybe(name, *args, **named) or ())

    def close(self) -> None:
        self._module.shutdown()
