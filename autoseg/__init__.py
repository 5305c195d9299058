"""autoseg."""
