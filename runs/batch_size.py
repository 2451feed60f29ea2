"""How many rows a batch may have so that nobody waits long for it: found by measuring, on any disk."""

from __future__ import annotations

# Fewer would not be quicker: there, what a commit costs whatever is in it outweighs the rows.
LEAST_ROWS = 25
FIRST_ROWS = 50
MOST_ROWS = 500
# On SQLite a batch holds the only write lock, and a worker's loop waits for its own batches.
WANTED_SECONDS = 0.08


class BatchSize:
    """Starts small, doubles while batches are quick, and shrinks at once to what would have been quick enough."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def took(self, seconds: float, *, rows: int) -> None:
        """Learn from a batch of `rows` that took so long from its first statement to the end of its commit."""
        if seconds > WANTED_SECONDS:
            self.rows = max(LEAST_ROWS, min(self.rows, int(rows * WANTED_SECONDS / seconds)))
        elif rows >= self.rows and seconds < WANTED_SECONDS / 2:
            self.rows = min(MOST_ROWS, self.rows * 2)
