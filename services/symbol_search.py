"""Finding a signal's symbol among a broker's: by name, then checked by what the broker says of it. Never a guess."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from services.instruments import KNOWN, Instrument, known, normal
from terminal.protocol import SymbolSpec, TradeMode

_BEFORE, _AFTER = r"(?:M|I|#|\.)?", r"([._#+!-]?\w{0,4}[#+!]?)"
# A contract that ends on a day is another thing than the one that does not: US30_Z5, XAUUSD-H26.
_DATED = re.compile(r"[._-]?([FGHJKMNQUVXZ]\d{1,2}|(JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)\d{0,2})")
_HALVES = re.compile(r"^([#IM.]?[A-Z]{3})[/_ -]([A-Z]{3})(?![A-Z])")
_COMPANY = re.compile(r"\b(inc|corp|corporation|ltd|limited|plc|company|co|sa|se|ag|group|holdings?|mining|miners|"
                      r"etf|fund|shares?|stock)\b\.?", re.IGNORECASE)
_OPENNESS = {TradeMode.FULL: 0, TradeMode.LONG_ONLY: 1, TradeMode.SHORT_ONLY: 1, TradeMode.CLOSE_ONLY: 2,
             TradeMode.DISABLED: 3}
MISSING, AMBIGUOUS, UNCONFIRMED = "missing", "ambiguous", "unconfirmed"
# How closed it is to trade, whether it goes by another name, how much is around the name; then the broker's name.
Ranked = tuple[tuple[int, bool, int], str]


@dataclass(frozen=True, slots=True)
class Found:
    """The broker's name, or the ``problem``; an unconfirmed one has both."""

    name: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Match:
    """How a broker's name is like the one sought: by another name of the same thing, with so much around it."""

    is_alias: bool
    around: int

    @property
    def is_exact(self) -> bool:
        return not self.is_alias and not self.around


def search(symbol: str, specs: Iterable[SymbolSpec]) -> Found:
    """The one of a broker's symbols that is meant by ``symbol``."""
    wanted = normal(symbol)
    instrument = known(wanted)
    sound: list[Ranked] = []
    doubtful: list[Ranked] = []
    patterns = _patterns(wanted, instrument)
    for spec in specs:
        match = _match(spec.name, patterns)
        if match is None:
            continue
        verdict = _judged(instrument, spec, match)
        if verdict is not None:
            rank = (_OPENNESS[spec.trade_mode], match.is_alias, match.around)
            (sound if verdict else doubtful).append((rank, spec.name))
    if sound:
        return _best(sound, None)
    return _best(doubtful, UNCONFIRMED) if doubtful else Found(None, MISSING)


def is_meant(symbol: str, spec: SymbolSpec) -> bool:
    """Whether a symbol of exactly this name is sound and open to trade, so that no other need be looked at."""
    wanted = normal(symbol)
    instrument = known(wanted)
    match = _match(spec.name, _patterns(wanted, instrument))
    return (match is not None and match.is_exact and spec.trade_mode == TradeMode.FULL
            and _judged(instrument, spec, match) is True)


def _best(ranked: list[Ranked], problem: str | None) -> Found:
    least = min(rank for rank, _ in ranked)
    names = {name for rank, name in ranked if rank == least}
    return Found(names.pop(), problem) if len(names) == 1 else Found(None, AMBIGUOUS)


def _patterns(wanted: str, instrument: Instrument | None) -> list[tuple[bool, str, re.Pattern[str]]]:
    """The name itself, then what else the same thing is called."""
    others = sorted(instrument.names - {wanted}) if instrument else []
    return [(name != wanted, name, re.compile(_BEFORE + re.escape(name) + _AFTER)) for name in (wanted, *others)]


def _match(name: str, patterns: list[tuple[bool, str, re.Pattern[str]]]) -> _Match | None:
    plain = _HALVES.sub(r"\1\2", name.upper())
    found = []
    for is_alias, base, pattern in patterns:
        if plain == base:
            found.append(_Match(is_alias, 0))
            continue
        hit = pattern.fullmatch(plain)
        if hit is None or _DATED.fullmatch(hit[1]) or (base[-1:].isdigit() and hit[1][:1].isdigit()):
            continue
        found.append(_Match(is_alias, len(plain) - len(base)))
    return min(found, key=lambda match: (match.is_alias, match.around), default=None)


def _judged(instrument: Instrument | None, spec: SymbolSpec, match: _Match) -> bool | None:
    """True: it is the one; False: it may be, and its owner has to say so; None: it is not."""
    if instrument is None:
        # Nothing is known of it but its name, so only the very name will do.
        return match.is_exact
    if spec.currency_profit.upper() != instrument.quote:
        return None
    if instrument.is_pair:
        if spec.currency_base.upper() not in instrument.bases:
            return None
        says_so = True
    else:
        told = _told(instrument, spec, match)
        if told is None:
            return None
        says_so = told
    is_usual = instrument.contract_size is None or spec.contract_size == instrument.contract_size
    return says_so and is_usual


def _told(instrument: Instrument, spec: SymbolSpec, match: _Match) -> bool | None:
    """What base currency and description say, where the name alone is not enough."""
    assert instrument.family is not None
    base, description = spec.currency_base.upper(), spec.description
    by_base = base in instrument.bases
    by_words = bool(instrument.family.search(description)) and not _COMPANY.search(description)
    if by_base or by_words:
        return True
    is_other = any(other.family is not None and other.family.search(description) for other in KNOWN
                   if other is not instrument and other.family is not instrument.family)
    if is_other or _COMPANY.search(description) or base not in ("", instrument.quote, spec.currency_margin.upper()):
        return None
    return not match.is_alias
