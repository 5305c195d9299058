"""How well masks agree: the scores of cross-validation, selection, hold-out and ``autoseg evaluate``, made one way.

scoring (class maps to scores) ─▶ mask_pairs (which files), groups (which site, whose case) ─▶ named_masks,
named_comparison (DICOM structures by name) ─▶ comparison (two folders) ─▶ tables (scores to read)
"""
