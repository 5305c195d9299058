"""The search behind the ``select`` stage: blended candidates, their scores, and the rule that decides."""
