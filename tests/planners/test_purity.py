"""Planning waits for nothing heavy and knows nothing of what carries it out."""

import subprocess
import sys

PROBE = """
import importlib, pkgutil, sys, time
started = time.process_time()
import planners.registry
seconds = time.process_time() - started
for module in pkgutil.walk_packages(planners.__path__, "planners."):
    importlib.import_module(module.name)
print(seconds)
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""
HEAVY = {
    *("autoseg", "torch", "SimpleITK", "nibabel", "scipy", "sklearn", "pandas", "tifffile", "PIL", "matplotlib"),
    *("optuna", "batchgenerators", "monai", "safetensors", "psutil", "jinja2", "typer", "rich"),
}


def test_planners_import_neither_the_engine_nor_anything_heavy():
    shown = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    seconds, modules = shown.stdout.splitlines()
    print(f"import planners.registry: {float(seconds):.3f} s of processor time")
    assert {"planners", "numpy", "pydantic"} <= set(modules.split())
    assert not HEAVY & set(modules.split())
