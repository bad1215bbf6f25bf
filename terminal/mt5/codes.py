"""MetaTrader's numbers, by the names its documentation gives them."""

# Trade requests: action, order type, filling, lifetime.
DEAL, PENDING, SLTP, REMOVE = 1, 5, 6, 8
BUY, SELL, BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP = range(6)
FOK, IOC, RETURN = range(3)
GTC, SPECIFIED = 0, 2
# Bits of symbol_info().filling_mode and .expiration_mode; the library has no names for them.
MAY_FOK, MAY_IOC, MAY_BOC, MAY_SPECIFY = 1, 2, 4, 4
# symbol_info().trade_exemode and .trade_mode.
BY_REQUEST, BY_INSTANT, BY_MARKET, BY_EXCHANGE = range(4)
DISABLED, LONG_ONLY, SHORT_ONLY, CLOSE_ONLY, FULL = range(5)
HEDGING = 2
# Orders' states.
STARTED, PLACED, CANCELED, PARTIAL, FILLED, REJECTED, EXPIRED, REQUEST_ADD = range(8)
# Deals: type, entry, reason.
DEAL_BUY, DEAL_SELL, DEAL_BALANCE, DEAL_CREDIT, DEAL_BONUS = 0, 1, 2, 3, 6
ENTRY_IN, ENTRY_OUT, ENTRY_INOUT, ENTRY_OUT_BY = range(4)
CLIENT, MOBILE, WEB, EXPERT, BY_STOP_LOSS, BY_TAKE_PROFIT, BY_STOP_OUT = range(7)

# A magic is the desk's tag above 48 bits: four name the leg, the rest the order. The last leg marks a close. A part
# that the desk closes at a target has a tag of its own, and the target's number in the place of the leg. A third one is
# of what somebody closes through the desk, and the rest is the number of that act.
TAG_BITS, LEG_BITS = 48, 44
TARGET_TAG, ACT_TAG = 2, 3
LEG_MASK = 0xF << LEG_BITS
CLOSING = 0xF
MOST_LEGS = 15


def is_ours(magic: int) -> bool:
    """Whether the desk gave this number."""
    return magic >> TAG_BITS == 1


def is_target(magic: int) -> bool:
    """Whether it marks a part that the desk closes at a target."""
    return magic >> TAG_BITS == TARGET_TAG


def is_act(magic: int) -> bool:
    """Whether it marks what somebody closes through the desk."""
    return magic >> TAG_BITS == ACT_TAG


def leg_of(magic: int) -> int:
    return (magic & LEG_MASK) >> LEG_BITS


def intent_of(magic: int) -> int:
    """The number of the order without its leg; what is not ours stays as it is, a close of nothing of ours is 0."""
    if not is_ours(magic):
        return magic
    whole = magic & ~LEG_MASK
    return 0 if whole == 1 << TAG_BITS else whole


def closing_magic(magic: int) -> int:
    """What marks the close of a position that was opened with ``magic``."""
    return (magic if is_ours(magic) else 1 << TAG_BITS) | CLOSING << LEG_BITS


def leg_magic(magic: int, leg: int) -> int:
    return magic + (leg << LEG_BITS)
