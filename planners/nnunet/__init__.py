"""What nnU-Net 2.8.1 would plan, for comparisons and for its checkpoints.

The rules stand here as that program applies them, weak ones included; our own planner uses none of this. Data flow:
``variants`` (the four planners' constants) and ``spacing`` (the grid) feed ``configuration`` (patch, batch and network,
with ``topology`` and ``element_count``), ``decisions`` puts the configurations together, and ``planner`` makes a Plan
of them, with ``translation`` between its terms and ours and ``reasons`` in words.
"""
