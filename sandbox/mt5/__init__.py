"""A MetaTrader 5 broker that stands in for terminals and trade servers, and the package that speaks to it."""

from pathlib import Path

# Put first on a worker's PYTHONPATH, this directory gives it the stand-in for the MetaTrader5 package.
WHEEL = Path(__file__).parent / "wheel"
