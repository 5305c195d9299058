"""A race: autoseg and a peer train on the same cases for the same time, and one evaluator judges whole volumes."""
