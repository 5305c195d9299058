"""Pure tools for volumes in numpy and scipy: arrays in, arrays out; no records, no files."""
