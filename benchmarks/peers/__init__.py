"""Other programs that we measure ourselves against: their environments, and how they are run. Never copied from."""
