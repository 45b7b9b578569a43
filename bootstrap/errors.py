"""The one exception that ends a verb with a plain message instead of a traceback."""


class SetupError(Exception):
    """Something that the person at the keyboard can put right; the message says how."""
