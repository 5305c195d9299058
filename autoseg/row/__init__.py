"""What ``pipeline`` stands on: opening a run folder, resuming, jobs, time, and what leaves the folder in the end."""
