"""Make the environment that nnU-Net v2 runs in, apart from ours.

    python -m benchmarks.peers.install [FOLDER]

FOLDER becomes a virtual environment with what ``nnunetv2.txt`` pins and the torch of our ``constraints.txt``: its CPU
build where no NVIDIA driver is seen, as ``make`` does it. What is there already stays; the same command mends a broken
one. Packages come from wherever pip is set up to look.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PINS = HERE / "nnunetv2.txt"
CONSTRAINTS = HERE.parents[1] / "constraints.txt"
_PIP = ("-m", "pip", "--disable-pip-version-check")


def default_folder() -> Path:
    """In the user's cache, so that all working copies share it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "autoseg" / "peers" / "nnunetv2-2.8.1"


def python_of(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def pins(path: Path) -> dict[str, str]:
    """Version of each package that a requirements file pins."""
    found = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(), flags=re.MULTILINE)
    return {_canonical(name): version for name, version in found}


def installed(python: Path) -> dict[str, str]:
    """Version of each package in an environment."""
    listed = subprocess.run([python, *_PIP, "list", "--format=json"], check=True, capture_output=True, text=True)
    return {_canonical(item["name"]): item["version"] for item in json.loads(listed.stdout)}


def install(folder: Path) -> None:
    """Make or mend the environment, and say what was done."""
    python = python_of(folder)
    if not python.exists():
        print(f"making {folder}", flush=True)
        venv.create(folder, with_pip=True)
    found = installed(python)
    torch = pins(CONSTRAINTS)["torch"]
    if found.get("torch", "").partition("+")[0] != torch:
        print(f"installing torch {torch}", flush=True)
        _install_torch(python, torch)
    missing = [f"{name}=={version}" for name, version in pins(PINS).items() if found.get(name) != version]
    if missing:
        print(f"installing {len(missing)} packages: {', '.join(missing)}", flush=True)
        subprocess.run([python, *_PIP, "install", "--quiet", "--no-deps", *missing], check=True)
    _check(python, torch)
    print(f"{folder}: nnunetv2 {pins(PINS)['nnunetv2']} with torch {installed(python)['torch']} is ready")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _install_torch(python: Path, version: str) -> None:
    builds = [version] if shutil.which("nvidia-smi") else [f"{version}+cpu", version]
    for build in builds:
        command = [str(python), *_PIP, "install", "--quiet", f"torch=={build}"]
        made = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if made.returncode == 0:
            return
    sys.exit(f"torch {version} could not be installed:\n{made.stderr}")


def _check(python: Path, torch: str) -> None:
    """What training needs can be imported, and torch is still the one that was asked for."""
    code = (
        "import torch, nnunetv2.training.nnUNetTrainer.nnUNetTrainer, nnunetv2.inference.predict_from_raw_data;"
        "print(torch.__version__)"
    )
    made = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    if made.returncode or made.stdout.strip().partition("+")[0] != torch:
        sys.exit(f"{python}: expected torch {torch} and a working nnunetv2, found: {made.stdout}{made.stderr}")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("folder", type=Path, nargs="?", default=default_folder())
    install(asked.parse_args().folder)
