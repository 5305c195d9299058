"""nnU-Net v2 as a contender: its own planning, preprocessing, training and prediction, in an environment of its own.

A data set is converted, planned and preprocessed once per folder, by nnU-Net's command with its default planner. Each
training is one process in nnU-Net's environment (``nnunet_side``). Before the first one, loader processes and threads
are tuned on this machine, which should be idle then: the speed that comes out tells how many iterations fit into the
time. The training itself may run beside other work, as its iterations are counted.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from autoseg import environment, machine, records
from benchmarks.peers import nnunet_layout
from benchmarks.peers.install import python_of
from benchmarks.peers.nnunet_side.order import Order
from benchmarks.race import cell
from benchmarks.race.tasks import Task
from planners.contracts import Record

TUNING_SHARE = 0.025
"""Of the training time, that each way of loading is tried for."""
NNUNET_PROCESSES = 12
"""Loader processes that nnU-Net starts where it does not know the machine."""
_WORK = Path(__file__).parent / "nnunet_side" / "work.py"
_NUMBERS = {"hippocampus": 4, "nuclei": 120, "heart_sized": 2}
"""nnU-Net's numbers of data sets; any would do."""


class Loading(Record):
    """A way of loading, and what an iteration took with it."""

    processes: int
    threads: int
    iteration_s: float


class Tuned(cell.Timed):
    """All ways that were tried, the fastest first. It was timed twice and its better time counts."""

    tried: tuple[Loading, ...]


@dataclass(frozen=True)
class Peer:
    """nnU-Net on one data set.

    Attributes:
        task: The data set.
        data: Folder that holds it.
        venv: nnU-Net's environment.
        out: Everything that is made for this data set goes here.
        device: ``cpu`` or ``cuda``.
    """

    task: Task
    data: Path
    venv: Path
    out: Path
    device: str = "cpu"

    @property
    def dataset(self) -> str:
        """nnU-Net's name of the data set."""
        return f"Dataset{_NUMBERS[self.task.name]:03d}_{self.task.name.capitalize()}"

    @property
    def raw(self) -> Path:
        """The data set in nnU-Net's layout."""
        return self.out / "raw" / self.dataset

    @property
    def preprocessed(self) -> Path:
        """What nnU-Net made of it."""
        return self.out / "preprocessed" / self.dataset

    def prepare(self) -> None:
        """Convert, plan and preprocess, unless that is done; not part of anybody's training time."""
        if (self.preprocessed / "splits_final.json").exists():  # written last
            return
        for folder in (self.raw, self.preprocessed):
            shutil.rmtree(folder, ignore_errors=True)
        nnunet_layout.convert(self.task, self.data, self.raw)
        command = self.venv / "bin" / "nnUNetv2_plan_and_preprocess"
        cores = str(machine.cores())
        asked = ["-d", str(_NUMBERS[self.task.name]), "-c", self.task.configuration, "-npfp", cores, "-np", cores]
        variables = self._environment(machine.cores(), self.out / "results")  # planning cannot do with 0 processes
        _run([str(command), *asked], variables, self.out / "preprocess.log")
        shutil.copy(self.task.splits, self.preprocessed / "splits_final.json")

    def tuned(self, minutes: float, bf16: bool) -> Tuned:
        """Try ways of loading, or read what came out of it before."""
        path = self.out / f"tuning-{'bf16' if bf16 else 'fp32'}-{minutes:g}min.json"
        if not path.exists():
            watch = cell.Watch()
            tried = [self._tried(ways, minutes, bf16) for ways in _ways_of_loading(machine.cores(), self.device)]
            best = min(tried, key=_seconds)
            tried.append(self._tried((best.processes, best.threads), minutes, bf16))
            ranked = tuple(sorted(tried, key=_seconds))
            records.write(path, Tuned(**dict(watch.timed(self.device)), tried=ranked))
        return records.read(path, Tuned)

    def train(self, minutes: float, seed: int, bf16: bool, loading: Loading, work: Path) -> dict:
        """Train for the iterations that fit into the time and predict the validation cases.

        Args:
            minutes: Of training, at the speed that was tuned.
            seed: Passed on.
            bf16: Train under autocast, which nnU-Net itself does not do on a CPU.
            loading: As tuned.
            work: Emptied first; gets ``mirrored/`` and ``plain/``, masks in the data set's values.

        Returns:
            What ``nnunet_side.work.trained`` tells.
        """
        shutil.rmtree(work, ignore_errors=True)
        count = round(60 * minutes / loading.iteration_s)
        order = self.order("train", work, iterations=count, seed=seed, bf16=bf16, loading=loading)
        told = self._carry_out(order, loading.processes, work)
        for name in ("mirrored", "plain"):
            nnunet_layout.restore_values(self.task, work / name)
        return told

    def order(
        self,
        kind: str,
        work: Path,
        *,
        seconds: float = 0.0,
        iterations: int = 1,
        seed: int = 0,
        bf16: bool = False,
        loading: Loading | None = None,
    ) -> Order:
        """An order for the other environment."""
        return Order(
            kind=kind,
            dataset=self.dataset,
            configuration=self.task.configuration,
            fold=self.task.fold,
            seed=seed,
            seconds=seconds,
            iterations=iterations,
            device=self.device,
            threads=loading.threads if loading else machine.cores(),
            bf16=bf16,
            images=[[str(nnunet_layout.image(self.task, self.raw, case))] for case in self.task.validation],
            out=str(work),
        )

    def started(self, order: Order, work: Path) -> subprocess.Popen[str]:
        """The other environment, carrying out an order that answers on standard output."""
        command, variables = self._command(order, work), self._environment(0, work / "results")
        return subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _tried(self, ways: tuple[int, int], minutes: float, bf16: bool) -> Loading:
        """Seconds per iteration with so many loader processes and threads."""
        processes, threads = ways
        guess, work = Loading(processes=processes, threads=threads, iteration_s=0.0), self.out / "tuning"
        shutil.rmtree(work, ignore_errors=True)
        order = self.order("time", work, seconds=60 * TUNING_SHARE * minutes, bf16=bf16, loading=guess)
        told = self._carry_out(order, processes, work)
        return guess.model_copy(update={"iteration_s": told["iteration_s"]})

    def _carry_out(self, order: Order, processes: int, work: Path) -> dict:
        command = self._command(order, work)
        _run(command, self._environment(processes, work / "results"), work / "work.log")
        return json.loads((work / "result.json").read_text())

    def _command(self, order: Order, work: Path) -> list[str]:
        work.mkdir(parents=True, exist_ok=True)
        (work / "order.json").write_text(json.dumps(asdict(order)))
        return [str(python_of(self.venv)), str(_WORK), str(work / "order.json"), str(work / "result.json")]

    def _environment(self, processes: int, results: Path) -> dict[str, str]:
        """Variables that nnU-Net reads, and those that keep threads from spinning, which help it as much as us."""
        paths = {"raw": self.raw.parent, "preprocessed": self.preprocessed.parent, "results": results}
        own = {f"nnUNet_{name}": str(path) for name, path in paths.items()}
        own |= {"nnUNet_n_proc_DA": str(processes), "nnUNet_def_n_proc": str(machine.cores()), "OMP_NUM_THREADS": "1"}
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return environment.VARIABLES | kept | own


def _ways_of_loading(cores: int, device: str) -> list[tuple[int, int]]:
    """(loader processes, threads of torch) worth trying."""
    if device != "cpu":
        return [(processes, cores) for processes in sorted({max(1, cores - 2), cores, NNUNET_PROCESSES})]
    return [(0, cores), (1, cores), (2, cores), *([(1, cores - 1)] if cores > 1 else [])]


def _seconds(way: Loading) -> float:
    return way.iteration_s


def _run(command: Sequence[str], variables: dict[str, str], log: Path) -> None:
    """Run a command that must succeed; what it says goes into a file.

    Raises:
        SystemExit: It failed; the message ends as the command's did.
    """
    with log.open("w") as file:
        made = subprocess.run(command, env=variables, stdout=file, stderr=subprocess.STDOUT, check=False)
    if made.returncode:
        raise SystemExit(f"{command[0]} failed:\n{log.read_text()[-3000:]}\nsee {log}")
