"""What can go wrong before the sandbox runs."""


class RefusedToStart(Exception):
    """The sandbox will not run like this; the text says why and what to do."""
