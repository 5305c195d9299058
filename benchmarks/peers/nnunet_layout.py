"""A data set in nnU-Net's layout, and predicted masks back in the data set's values."""

import json
from pathlib import Path

from PIL import Image

from benchmarks.race.tasks import Task


def image(task: Task, raw: Path, case: str) -> Path:
    """The file of a case; nnU-Net numbers channels, and takes a colour picture for the first of three."""
    return raw / "imagesTr" / f"{case}_0000{task.suffix}"


def convert(task: Task, data: Path, raw: Path) -> None:
    """Lay out all cases: links to medical files; pictures without alpha channel, their masks with values 0, 1, ...

    Args:
        task: The data set.
        data: Folder that holds it.
        raw: nnU-Net's folder for it; must not exist.
    """
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    for case, picture, mask in task.files(data, task.training + task.validation):
        if task.suffix == ".png":
            Image.open(picture).convert("RGB").save(image(task, raw, case))
            index_of = {label.value: index for index, label in enumerate(task.labels, start=1)}
            _translate(mask, raw / "labelsTr" / mask.name, index_of)
        else:
            image(task, raw, case).symlink_to(picture.resolve())
            (raw / "labelsTr" / mask.name).symlink_to(mask.resolve())
    description = {
        "channel_names": {str(index): name for index, name in enumerate(task.channels)},
        "labels": {"background": 0} | {label.name: index for index, label in enumerate(task.labels, start=1)},
        "numTraining": len(task.training + task.validation),
        "file_ending": task.suffix,
    }
    (raw / "dataset.json").write_text(json.dumps(description, indent=1))


def restore_values(task: Task, folder: Path) -> None:
    """Give predicted pictures the values of the data set; those of medical files are 0, 1, ... already."""
    if task.suffix == ".png":
        value_of = {index: label.value for index, label in enumerate(task.labels, start=1)}
        for case in task.validation:
            _translate(folder / f"{case}.png", folder / f"{case}.png", value_of)


def _translate(source: Path, target: Path, values: dict[int, int]) -> None:
    """Replace the values of an 8-bit mask; those not named become 0."""
    Image.open(source).convert("L").point(lambda value: values.get(value, 0)).save(target)
