"""Programs that tests run in Windows' Python: they import the desk's code and the standard library only."""
