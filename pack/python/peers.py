"""The PyTorch side of the benchmark, at the card's sizes, in both layouts, with TF32 and with bf16 autocast.

usage: peers.py DIR [--device cuda|cpu] [--seconds 3] [--skip DONE,...] [CASE ...]

DIR holds `torch_bench.py`, which is no part of this repository. Its classes are `LeNet(tasks, device)` and
`UNet(tasks, device, heads=, size=, bs=, cl=)` with `batch()`, its steps `step_joint(net, batch)` and
`step_coop(net, batch, samples)`, and its dictionary `CASES` has (make, step) for the cases of the same names. Prints one
JSON object per line; a case that fails is reported in its line, and the others run.
"""

import argparse
import contextlib
import importlib.util
import json
import sys
import time
from pathlib import Path

HRF = ("seg2", "seg3")
ARITHMETIC = ["tf32", "bf16"]
LAYOUTS = ["nchw", "channels_last"]


def load(folder):
    path = Path(folder) / "torch_bench.py"
    spec = importlib.util.spec_from_file_location("torch_bench", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases(bench, torch):
    """Name -> (make(device, is_channels_last), step), the card's sizes included."""

    class LargeLeNet(bench.LeNet):
        images = 2048

        def batch(self):
            return [(torch.randn(1024, 1, 28, 28, device=self.dev), torch.randint(0, 5, (1024,), device=self.dev))
                    for _ in range(2)]

    def joint(net, batch):
        bench.step_joint(net, batch)

    def cooperative(samples):
        return lambda net, batch: bench.step_coop(net, batch, samples)

    return {
        **bench.CASES,
        "lenet_joint_1024": (lambda device, cl: LargeLeNet(1, device), joint),
        "lenet_mtcool_m1_1024": (lambda device, cl: LargeLeNet(2, device), cooperative(1)),
        "lenet_mtcool_m2_1024": (lambda device, cl: LargeLeNet(2, device), cooperative(2)),
        "unet_joint_512": (lambda device, cl: bench.UNet(1, device, size=512, bs=16, cl=cl), joint),
        "unet_mtcool_m1_512": (lambda device, cl: bench.UNet(2, device, size=512, bs=16, cl=cl), cooperative(1)),
        "unet_hrf_joint_2048_tf32": (lambda device, cl: bench.UNet(1, device, heads=HRF, size=2048, bs=1, cl=cl), joint),
        "unet_hrf_mtcool_m1_2048_tf32":
            (lambda device, cl: bench.UNet(2, device, heads=HRF, size=2048, bs=1, cl=cl), cooperative(1)),
    }


def measure(torch, make, step, device, layout, arithmetic, seconds):
    net = make(device, layout == "channels_last")
    batch = net.batch()
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    autocast = torch.autocast(device, dtype=torch.bfloat16) if arithmetic == "bf16" else contextlib.nullcontext()
    with autocast:
        for _ in range(5):
            step(net, batch)
        wait()
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 5:
            begun = time.perf_counter()
            step(net, batch)
            wait()
            times.append(time.perf_counter() - begun)
    times.sort()
    median = times[len(times) // 2]
    memory = torch.cuda.max_memory_allocated() >> 20 if device == "cuda" else None
    return {"ms_per_step": round(median * 1e3, 3), "images_per_s": round(net.images / median, 1), "peak_device_mib": memory}


def main():
    parser = argparse.ArgumentParser(description="the PyTorch side of the benchmark")
    parser.add_argument("folder")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--skip", default="", help="what is measured already: CASE LAYOUT ARITHMETIC, separated by commas")
    parser.add_argument("case", nargs="*")
    options = parser.parse_intermixed_args()
    try:
        import torch
    except ImportError as error:
        sys.exit(f"peers.py: {sys.executable} has no PyTorch ({error}): name a Python that has it with `--python PYTHON`")
    bench = load(options.folder)
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    known, skipped = cases(bench, torch), options.skip.split(",")
    # TF32 is arithmetic of cards; on a processor these are plain f32 numbers.
    for arithmetic in ARITHMETIC if options.device == "cuda" else ["f32"]:
        for layout in LAYOUTS:
            for name in options.case or known:
                record = {"case": name, "layout": layout, "arithmetic": arithmetic, "torch": torch.__version__}
                if f"{name} {layout} {arithmetic}" in skipped:
                    continue
                if name not in known:
                    record["error"] = "torch_bench.py has no such case"
                else:
                    try:
                        record.update(measure(torch, *known[name], options.device, layout, arithmetic, options.seconds))
                    except Exception as error:  # One case must not take the others with it.
                        record["error"] = f"{type(error).__name__}: {error}"[:500]
                print(json.dumps(record), flush=True)
                if options.device == "cuda":
                    torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
