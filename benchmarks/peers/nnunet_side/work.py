"""What is done inside nnU-Net's environment, one order at a time. Imports nothing of ours.

    PYTHON work.py ORDER RESULT     ORDER: JSON of an ``Order``; RESULT: the file of JSON that is written at the end

``time``    seconds per iteration with these threads and loader processes (``nnUNet_n_proc_DA``), nothing is kept
``train``   train for so many iterations, then predict the validation cases with nnU-Net's predictor, with and without
            its mirroring
``step``    answer each number that is read from standard input with the seconds of as many train steps on noise
"""

import json
import sys
import time
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from statistics import median

import numpy as np
import torch
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.paths import nnUNet_preprocessed
from order import Order
from trainer import TimedTrainer, seed_everything

PLANS = "nnUNetPlans"
WARM_UP = {"cpu": 2, "cuda": 30}
"""Iterations that are not timed; nnU-Net compiles its network on a GPU."""
FEWEST = 2
"""Iterations that are, however long they take."""


def made_trainer(order: Order) -> TimedTrainer:
    """nnU-Net's trainer for its own default plans."""
    torch.set_num_threads(order.threads)
    seed_everything(order.seed)
    folder = Path(nnUNet_preprocessed) / order.dataset
    plans = load_json(str(folder / f"{PLANS}.json")) | {"continue_training": False}
    description = load_json(str(folder / "dataset.json"))
    trainer = TimedTrainer(plans, order.configuration, order.fold, description, torch.device(order.device))
    trainer.limit(order.iterations, order.bf16)
    return trainer


def timed(order: Order) -> dict:
    """Seconds per iteration with loading, after a warm-up."""
    trainer = made_trainer(order)
    trainer.on_train_start()
    trainer.network.train()
    for _ in range(WARM_UP[order.device]):
        trainer.train_step(next(trainer.dataloader_train))
    started, count = time.monotonic(), 0
    while count < FEWEST or time.monotonic() - started < order.seconds:
        trainer.train_step(next(trainer.dataloader_train))
        count += 1
    passed_s = time.monotonic() - started
    trainer.disable_checkpointing = True
    trainer.on_train_end()
    return {"iteration_s": passed_s / count, "iterations": count}


def trained(order: Order) -> dict:
    """Train and predict."""
    trainer = made_trainer(order)
    trainer.run_training()
    predicted_s = {}
    for name, mirroring in (("mirrored", True), ("plain", False)):
        started = time.monotonic()
        predict(trainer, order, Path(order.out) / name, mirroring)
        predicted_s[name] = time.monotonic() - started
    configuration = trainer.configuration_manager
    return {
        "seconds": trainer.trained_s,
        "iterations": trainer.iterations,
        "epochs": trainer.num_epochs,
        "batch": configuration.batch_size,
        "patch": [int(edge) for edge in configuration.patch_size],
        "features": [int(count) for count in trainer.network.encoder.output_channels],
        "mirror_axes": list(trainer.inference_allowed_mirroring_axes or ()),
        "predicted_s": predicted_s,
        "versions": {name: metadata.version(name) for name in ("nnunetv2", "torch", "batchgeneratorsv2", "numpy")},
    }


def predict(trainer: TimedTrainer, order: Order, out: Path, mirroring: bool) -> None:
    """Write the masks of the validation cases, from their raw files, as ``nnUNetv2_predict`` would."""
    out.mkdir(parents=True, exist_ok=True)
    network = trainer.without_autocast()
    predictor = nnUNetPredictor(use_mirroring=mirroring, device=trainer.device, allow_tqdm=False)
    predictor.manual_initialization(
        network,
        trainer.plans_manager,
        trainer.configuration_manager,
        [network.state_dict()],
        trainer.dataset_json,
        type(trainer).__name__,
        trainer.inference_allowed_mirroring_axes,
    )
    ending = trainer.dataset_json["file_ending"]
    targets = [str(out / Path(files[0]).name.removesuffix(f"_0000{ending}")) for files in order.images]
    predictor.predict_from_files_sequential(order.images, targets)


def stepping(order: Order) -> dict:
    """Steps on request: forward, deep supervision loss, backward, clipping, optimizer. No loading."""
    trainer = made_trainer(order)
    trainer.initialize()
    trainer.set_deep_supervision_enabled(trainer.enable_deep_supervision)
    trainer.network.train()
    trainer.started = time.monotonic()
    batch = noise(trainer)
    print("ready", flush=True)
    for line in sys.stdin:
        steps_s = []
        for _ in range(int(line)):
            started = time.perf_counter()
            trainer.train_step(batch)
            steps_s.append(time.perf_counter() - started)
        print(json.dumps({"step_s": median(steps_s)}), flush=True)
    return {}


def noise(trainer: TimedTrainer) -> dict:
    """A batch of the planned size, with a target for each output."""
    patch = np.array(trainer.configuration_manager.patch_size)
    size = trainer.batch_size, trainer.num_input_channels
    heads = trainer.label_manager.num_segmentation_heads
    scales = trainer._get_deep_supervision_scales() or [[1.0] * len(patch)]
    shapes = [tuple(int(edge) for edge in np.round(patch * np.array(scale))) for scale in scales]
    targets = [torch.randint(0, heads, (size[0], 1, *shape)).float() for shape in shapes]
    target = targets if trainer.enable_deep_supervision else targets[0]
    return {"data": torch.randn(*size, *shapes[0]), "target": target}


def main() -> None:
    """Read the order, carry it out, write the result."""
    order = Order(**json.loads(Path(sys.argv[1]).read_text()))
    result = {"time": timed, "train": trained, "step": stepping}[order.kind](order)
    Path(sys.argv[2]).write_text(json.dumps({"order": asdict(order), **result}, indent=1))


if __name__ == "__main__":
    main()
