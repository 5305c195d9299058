"""DICOM: image series to volumes, segmentations and contours to masks, and masks back to DICOM.

    sniff          is this file DICOM?  (cheap, without pydicom)
    headers        what a file says, without its pixels
    frames         the planes of pixels that a file holds, each with its place in the patient
    phases         several volumes in one series: echoes, time points, b-values
    stacks         planes in order: duplicates, several volumes, what is left out
    steps          from one plane to the next: spacing, tilt, gaps
    pixels         values of a plane: decompressed, rescaled, upright in brightness
    series         all of it: one series to a ``Volume``
    segments       what a DICOM-SEG says of itself
    segmentation   DICOM-SEG to ``Structures``
    structure_sets what an RTSTRUCT says of itself
    contours       RTSTRUCT to ``Structures``
    structures     either of them, by modality
    lattice        the grid that segmentations lie on, without their images
    writing        labels to DICOM-SEG (needs the extra ``dicom``)
    outlining      labels to RTSTRUCT
    catalogue      what a file is and belongs to, for those who look for data sets

Only ``sniff`` is imported where no DICOM file has been seen, so that other formats do not wait for pydicom.
"""
