"""The paper broker's own book. Its metadata is apart from the desk's; one database holds both."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from models.columns import BigKey, DecimalText, UtcInstant

metadata = MetaData()

accounts = Table(
    "paper_accounts", metadata,
    Column("login", String(32), primary_key=True),
    Column("currency", String(8), nullable=False),
    Column("leverage", Integer, nullable=False),
    Column("deposit", DecimalText, nullable=False),
    Column("balance", DecimalText, nullable=False),
    Column("margin_mode", String(8), nullable=False, server_default="hedging"),
    Column("created_at", UtcInstant, nullable=False),
)

orders = Table(
    "paper_orders", metadata,
    Column("id", BigKey, primary_key=True, autoincrement=True),
    Column("login", String(32), nullable=False),
    Column("magic", BigInteger, nullable=False),
    Column("symbol", String(32), nullable=False),
    Column("side", String(8), nullable=False),
    Column("order_type", String(8), nullable=False),
    Column("volume", DecimalText, nullable=False),
    Column("price", DecimalText),
    Column("stop_loss", DecimalText),
    Column("take_profits", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("retcode", Integer, nullable=False),
    Column("error", String(200)),
    Column("ticket", BigInteger),
    Column("fill_price", DecimalText),
    Column("expires_at", UtcInstant),
    Column("created_at", UtcInstant, nullable=False),
    UniqueConstraint("login", "magic", name="uq_paper_orders_login"),
    Index("ix_paper_orders_status", "status"),
)

positions = Table(
    "paper_positions", metadata,
    Column("ticket", BigKey, primary_key=True, autoincrement=True),
    Column("login", String(32), nullable=False),
    Column("magic", BigInteger, nullable=False),
    Column("symbol", String(32), nullable=False),
    Column("side", String(8), nullable=False),
    Column("volume", DecimalText, nullable=False),
    Column("entry_price", DecimalText, nullable=False),
    Column("stop_loss", DecimalText),
    Column("targets", JSON, nullable=False),
    Column("status", String(8), nullable=False),
    Column("opened_at", UtcInstant, nullable=False),
    Column("closed_at", UtcInstant),
    # The position it continues the other way (netting); null: it is named by its ticket.
    Column("identifier", BigInteger),
    Column("swap", DecimalText, nullable=False, server_default="0"),
    # Nights up to this midnight have been charged; null: none yet.
    Column("rolled_until", UtcInstant),
    # Grows with every change; whoever changes a position names the one it knows.
    Column("revision", Integer, nullable=False, server_default="0"),
    Index("ix_paper_positions_login", "login", "status"),
    Index("ix_paper_positions_status", "status"),
)

deals = Table(
    "paper_deals", metadata,
    Column("id", BigKey, primary_key=True, autoincrement=True),
    Column("login", String(32), nullable=False),
    Column("ticket", BigInteger, nullable=False),
    Column("magic", BigInteger, nullable=False),
    Column("symbol", String(32), nullable=False),
    Column("side", String(8), nullable=False),
    Column("entry", String(8), nullable=False),
    Column("reason", String(16), nullable=False),
    Column("volume", DecimalText, nullable=False),
    Column("price", DecimalText, nullable=False),
    Column("profit", DecimalText, nullable=False),
    Column("swap", DecimalText, nullable=False),
    Column("commission", DecimalText, nullable=False),
    Column("remaining_volume", DecimalText, nullable=False),
    Column("at", UtcInstant, nullable=False),
    # Null: the ticket.
    Column("position_id", BigInteger),
    Index("ix_paper_deals_login", "login"),
)

quotes = Table(
    "paper_quotes", metadata,
    Column("symbol", String(32), primary_key=True),
    Column("bid", DecimalText, nullable=False),
    Column("ask", DecimalText, nullable=False),
    Column("at", UtcInstant, nullable=False),
)
