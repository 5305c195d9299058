"""Has the network collapsed: does it call everything background, though there is foreground to see?

Large steps at the beginning can push every output so far down that no gradient brings it back. The loss then looks
calm, and hours later every mask is empty. Rare structures are found late as well, so judgement waits.
"""

from dataclasses import dataclass

EARLIEST = 0.3
"""Share of the job before which nothing is judged."""
LATEST = 0.8
"""Share of the job after which a new start would be too short to help."""
STRETCH = 0.15
"""Share of the job that must pass without any voxel called foreground."""
LOOKS = 30
"""Batches with foreground that must have gone by in that stretch."""


@dataclass
class Watch:
    """How long the network has called nothing foreground.

    Attributes:
        looks: Batches with foreground in them since it last did.
        since: Share of the job at the first of them.
    """

    looks: int = 0
    since: float = 0.0

    def look(self, share: float, *, drawn: bool, found: bool) -> None:
        """Take note of one batch.

        Args:
            share: Of the job that is done.
            drawn: The batch holds foreground.
            found: The network called some voxel foreground.
        """
        if found:
            self.looks = 0
        elif drawn:
            self.since = share if self.looks == 0 else self.since
            self.looks += 1

    def collapsed(self, share: float) -> bool:
        """Whether that has been so for too long.

        >>> watch = Watch()
        >>> for step in range(50):
        ...     watch.look(step / 100, drawn=True, found=step < 10)
        >>> watch.collapsed(0.5), watch.collapsed(0.2)
        (True, False)
        """
        return share >= EARLIEST and self.looks >= LOOKS and share - self.since >= STRETCH
