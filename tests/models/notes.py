"""The table the tests of the database write to: one column of every type of ours."""

from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table

from models.columns import BigKey, DecimalText, UtcInstant

metadata = MetaData()

notes = Table(
    "notes", metadata,
    Column("id", BigKey, primary_key=True, autoincrement=True),
    Column("number", Integer),
    Column("at", UtcInstant),
    Column("amount", DecimalText),
    Column("after_id", ForeignKey("notes.id")),
)
