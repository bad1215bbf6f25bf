"""The chat door.

aiogram builds some hundreds of models when it is imported; without the garbage collector, which would walk
through all of them again and again, that takes a fifth less.
"""

import gc

gc.disable()
try:
    import aiogram as _aiogram  # noqa: F401
finally:
    gc.enable()
