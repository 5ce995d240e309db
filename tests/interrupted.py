"""A crystal in the midst of which a person presses Ctrl-C."""


class Interrupting(dict):
    """A crystal at which Ctrl-C is pressed, the first time it is read."""

    pressed = False

    def get(self, key, default=None):
        if not Interrupting.pressed:
            Interrupting.pressed = True
            raise KeyboardInterrupt
        return super().get(key, default)
