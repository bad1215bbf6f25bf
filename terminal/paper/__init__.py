"""The paper broker: a trading terminal whose market is made here and whose money is not real."""
