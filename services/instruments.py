"""What the symbols of signals stand for, whatever brokers call them: currencies, metals, indices, energies, coins."""

import re
from dataclasses import dataclass
from decimal import Decimal

_CURRENCIES = """AED AUD BRL CAD CHF CLP CNH CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MXN NOK NZD PLN RON RUB SAR
SEK SGD THB TRY TWD USD ZAR"""
CURRENCIES = frozenset(_CURRENCIES.split())
_JOINED = re.compile(r"([A-Z]{3})[/_. -]([A-Z]{3})$")
_METAL = re.compile(r"(XAU|XAG|XPT|XPD)([A-Z]{3})")
_COIN = re.compile(r"(BTC|ETH|LTC|XRP|BCH|SOL|ADA|DOT|DOGE|BNB)([A-Z]{3})")


@dataclass(frozen=True, slots=True)
class Instrument:
    """``names`` are what it is called, ``quote`` the currency of its price.

    ``bases`` are base currencies that say it is this; ``family`` are words of descriptions that do. A pair of
    currencies has no family: its base is the whole proof. ``contract_size`` is None where brokers differ freely.
    """

    names: frozenset[str]
    quote: str
    bases: frozenset[str]
    family: re.Pattern[str] | None
    contract_size: Decimal | None

    @property
    def is_pair(self) -> bool:
        return self.family is None


def _made(names: str, quote: str, family: str, bases: str = "", contract_size: str | None = None) -> Instrument:
    return Instrument(frozenset(names.split()), quote, frozenset(bases.split()), re.compile(family, re.IGNORECASE),
                      Decimal(contract_size) if contract_size else None)


KNOWN = (
    _made("XAUUSD GOLD XAU", "USD", r"\bgold\b|\bxau", "XAU", "100"),
    _made("XAGUSD SILVER XAG", "USD", r"\bsilver\b|\bxag", "XAG", "5000"),
    _made("XPTUSD PLATINUM", "USD", r"\bplatinum\b|\bxpt", "XPT", "100"),
    _made("XPDUSD PALLADIUM", "USD", r"\bpalladium\b|\bxpd", "XPD", "100"),
    _made("US30 DJ30 WS30 DJI30 DJIA DOW30 DOW USA30 WALLSTREET30", "USD", r"\bdow\b|djia|wall ?st|\busa? ?30\b|\bdj"),
    _made("NAS100 USTEC US100 NDX100 NDX NASDAQ NASDAQ100 USTECH USTECH100 TECH100 USA100", "USD",
          r"nasdaq|\bnas\b|\bndx|us ?tech|\btech\b|\busa? ?100\b"),
    _made("US500 SPX500 SP500 SPX USA500", "USD", r"s ?& ?p|\bsp ?500|\bspx|\busa? ?500\b|standard and poor"),
    _made("US2000 RUSSELL2000 RUS2000 RUSS2000", "USD", r"russell|small cap|\busa? ?2000\b"),
    _made("GER40 DE40 GER30 DE30 DAX DAX40 DAX30 GERMANY40", "EUR", r"\bdax|german|\bger ?[34]0|\bde ?[34]0"),
    _made("UK100 FTSE100 FTSE", "GBP", r"\bftse ?100|\bftse\b(?! ?mib)|\buk ?100\b|united kingdom"),
    _made("FRA40 CAC40 FR40 F40", "EUR", r"\bcac\b|cac ?40|france|\bfra? ?40\b"),
    _made("EU50 STOXX50 EUSTX50 ESTX50 EURO50 ESX50", "EUR", r"stoxx|euro ?50|\beu ?50\b"),
    _made("JP225 JPN225 NIKKEI225 NIKKEI NI225", "JPY", r"nikkei|japan|\bjpn? ?225\b"),
    _made("AUS200 AU200 ASX200", "AUD", r"\basx|australia|\baus? ?200\b"),
    _made("HK50 HSI HKG50", "HKD", r"hang seng|hong kong|\bhkg? ?50\b"),
    _made("USOIL WTI XTIUSD OIL WTIUSD USOUSD CRUDE CRUDEOIL", "USD",
          r"\bwti\b|west texas|\blight\b|\bus(a|d)? ?(crude|oil)|(?<!brent )\bcrude\b(?!.*brent)", "XTI WTI", "1000"),
    _made("UKOIL BRENT XBRUSD UKOUSD BRENTOIL", "USD", r"\bbrent|\buk ?(crude|oil)", "XBR BRENT", "1000"),
    _made("NATGAS XNGUSD NGAS NATURALGAS", "USD", r"natural gas|nat\.? ?gas", "XNG", "10000"),
    _made("BTCUSD BTC BITCOIN XBTUSD", "USD", r"\bbitcoin\b(?! cash)|\bbtc\b", "BTC XBT", "1"),
    _made("ETHUSD ETH ETHEREUM", "USD", r"\bether(eum)?\b(?! classic)|\beth\b", "ETH", "1"),
    _made("LTCUSD LTC LITECOIN", "USD", r"litecoin|\bltc\b", "LTC"),
    _made("XRPUSD XRP RIPPLE", "USD", r"ripple|\bxrp\b", "XRP"),
)
_BY_NAME = {name: instrument for instrument in KNOWN for name in instrument.names}
FOREX_CONTRACT = Decimal(100_000)


def normal(symbol: str) -> str:
    """A symbol as it is compared and kept: upper case, the two halves of a pair together."""
    plain = symbol.strip().upper()
    joined = _JOINED.match(plain)
    return "".join(joined.groups()) if joined else plain


def known(symbol: str) -> Instrument | None:
    """What a symbol stands for; None when nobody can say but the broker that has one of exactly this name."""
    name = normal(symbol)
    if name in _BY_NAME:
        return _BY_NAME[name]
    if len(name) == 6 and name[:3] in CURRENCIES and name[3:] in CURRENCIES and name[:3] != name[3:]:
        return Instrument(frozenset([name]), name[3:], frozenset([name[:3]]), None, FOREX_CONTRACT)
    part = _METAL.fullmatch(name) or _COIN.fullmatch(name)
    if part is None or part[2] not in CURRENCIES:
        return None
    dollar = _BY_NAME.get(f"{part[1]}USD")
    # The same thing for another currency; what it is called for dollars does not say which one.
    return Instrument(frozenset([name]), part[2], frozenset([part[1]]),
                      dollar.family if dollar and dollar.family else re.compile(rf"\b{part[1]}\b", re.IGNORECASE),
                      dollar.contract_size if dollar else None)
