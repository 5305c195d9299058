"""Planning rules: from a Fingerprint and a Budget to a Plan. No torch, no disk, no clock, no environment."""
