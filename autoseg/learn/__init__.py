"""Learning: torch code that trains and applies networks. It sees arrays and plans, never files or data sets."""
