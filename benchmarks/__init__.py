"""Measurements that anyone can repeat. They inform; they never gate tests."""
