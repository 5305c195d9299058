"""Folds that benchmarks train on, kept so that everybody, now and later, trains and validates on the same cases."""
