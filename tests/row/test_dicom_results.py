"""A predicted DICOM segmentation is scored like any other mask."""

from pathlib import Path

import numpy as np

from autoseg import formats, records
from autoseg.contracts import PredictedCase, Prediction, Run, Settings
from autoseg.row.results import predicted_file, score_holdout
from autoseg.stages.dataset import dataset
from autoseg.workspace import Workspace
from tests import dicom_made as made


def test_the_hold_out_of_a_dicom_tree_is_scored(tmp_path: Path) -> None:
    truth = made.box()
    for number in range(6):
        files = made.series(tmp_path / "raw" / str(number), made.voxels(seed=number), who=made.identity(f"P{number}"))
        made.segmentation(tmp_path / "raw" / f"{number}.seg", {"liver": truth}, files)
    workspace = Workspace(tmp_path / "out")
    records.write(workspace.run, Run(source=str(tmp_path / "raw"), settings=Settings()))
    record = dataset(tmp_path / "raw", workspace.dataset, Settings(holdout=0.34))
    predicted = truth.copy()
    predicted[1] = False
    done = []
    for case in record.split.holdout:
        image = tmp_path / "raw" / record.case(case).images[0]
        formats.write_label(
            workspace.folder("predict") / f"{case}.seg.dcm", predicted.astype(np.uint8), image, names={1: "liver"}
        )
        done.append(PredictedCase(case=case, status="done", output=f"{case}.seg.dcm"))
    made_of = Prediction(cases=tuple(done))
    assert done and np.array_equal(predicted_file(done[0].case, made_of, record, workspace) == 1, predicted)
    scores = score_holdout(record, made_of, workspace)
    assert scores is not None and scores.mean_dice.value is not None
    assert np.isclose(scores.mean_dice.value, 2 * predicted.sum() / (predicted.sum() + truth.sum()))
