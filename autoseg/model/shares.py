"""How far a work is whose parts are done in turns."""

from autoseg.learn.infer import Tell


class Shares:
    """Tells of a whole what its parts, taken as equal, tell of themselves.

    >>> shares = Shares(2, print)
    >>> first, second = shares.part(), shares.part()
    >>> first(0.5); second(0.5); first(1.0)
    0.25
    0.5
    0.75
    """

    def __init__(self, parts: int, tell: Tell | None) -> None:
        """Take the number of parts that there will be, and who hears of the whole."""
        self._parts, self._tell = parts, tell
        self._done: list[float] = []

    def part(self) -> Tell:
        """Takes the share of the next part that is done."""
        index = len(self._done)
        self._done.append(0.0)

        def told(share: float) -> None:
            self._done[index] = share
            if self._tell is not None:
                self._tell(sum(self._done) / self._parts)

        return told
