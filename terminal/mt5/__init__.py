"""MetaTrader 5 terminals: a worker process for each account, whoever starts it and wherever it stands."""
