"""Taking in raw data: each case is opened once, audited, measured and settled with the others.

audit (one case's files fit) ─▶ scan (measure it) ─▶ examine (both, in a worker) ─▶ settle (all cases together)
"""
