"""Builds what reaches the trading terminals: the desk's side of it, and a host that terminals stand on."""
