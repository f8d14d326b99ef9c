#!/usr/bin/env python3
"""A CUDA toolkit and stub libraries for building the features `cuda` and `cudnn` without a GPU.

The compiler comes from NVIDIA's wheels on PyPI. The libraries that a driver installation brings along
(libcuda, libcublas, libcudnn, ...) are compiled here: they export what cudarc declares, so that programs
link and start. With EMULATED_NVIDIA_CARD=1 they behave as one slow card on the processor; see README.md.

Usage: python3 emulated-card/toolkit.py [--folder DIR] [--check] [--stubs-only]
"""

import argparse
import glob
import os
import re
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
KERNELS = REPOSITORY / "crates" / "mtcool-ops" / "src" / "cuda" / "kernels"

CUDA_VERSION = "13.0.*"
WHEELS = ["nvidia-cuda-nvcc", "nvidia-cuda-crt", "nvidia-nvvm", "nvidia-cuda-runtime", "nvidia-cuda-cccl"]
COMPILER = ["g++", "-O2", "-fPIC", "-std=c++17", "-pthread", "-ffp-contract=off", "-U_FORTIFY_SOURCE"]
DEVICE = ["-x", "c++", "-Wno-unknown-pragmas", "-include", str(HERE / "device.h"), "-I", str(KERNELS)]

# Library: its SONAME, the folder of its declarations in cudarc, what a function without an
# implementation returns (the library's "not supported" or the nearest to it), its sources.
LIBRARIES = {
    "cuda": ("libcuda.so.1", "driver", 801,
             ["driver.cpp", "memory.cpp", "launch.cpp", "candle.cpp"]),
    "nvrtc": ("libnvrtc.so.13", "nvrtc", 11, []),
    "curand": ("libcurand.so.10", "curand", 201, ["rand.cpp"]),
    "cublas": ("libcublas.so.13", "cublas", 15, ["blas.cpp"]),
    "cublasLt": ("libcublasLt.so.13", "cublaslt", 15, []),
    "cudnn": ("libcudnn.so.9", "cudnn", 3000, ["dnn.cpp"]),
}


def fail(message):
    sys.exit(f"toolkit.py: {message}")


def run(command, explanation):
    """Runs a command; its output is shown only if it fails."""
    result = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True)
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
        fail(explanation)


def size(folder):
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


def link(path, target):
    if path.is_symlink() or path.exists():
        return
    path.symlink_to(target)


# ------------------------------------------------------------------------------------------- compiler


def fetch_wheels(folder):
    """Downloads and unpacks the wheels; returns CUDA_HOME."""
    home = folder / "nvidia" / "cu13"
    done = folder / "wheels.done"
    wanted = " ".join(f"{name}=={CUDA_VERSION}" for name in WHEELS)
    if done.is_file() and done.read_text() == wanted:
        print(f"compiler: {home} is there")
    else:
        pip = [sys.executable, "-m", "pip"]
        if subprocess.run([*pip, "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
            fail("pip is missing: install python3-pip (Debian, Ubuntu) or run `python3 -m ensurepip`")
        wheels = folder / "wheels"
        wheels.mkdir(exist_ok=True)
        print(f"compiler: downloading {len(WHEELS)} wheels (about 104 MB)", flush=True)
        run([*pip, "download", "--no-deps", "--only-binary=:all:", "--dest", wheels, *wanted.split()],
            "pip could not download the wheels: is the network reachable, and is this Linux on x86-64 or aarch64?")
        shutil.rmtree(folder / "nvidia", ignore_errors=True)
        for wheel in sorted(wheels.glob("*.whl")):
            print(f"compiler: unpacking {wheel.name}", flush=True)
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
        shutil.rmtree(wheels)
        if not (home / "bin" / "nvcc").is_file():
            fail(f"the wheels hold no {home / 'bin' / 'nvcc'}")
        done.write_text(wanted)
    # Wheels keep neither links nor the right to execute.
    for pattern in ("bin/*", "nvvm/bin/*"):
        for program in home.glob(pattern):
            if program.is_file():
                program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    link(home / "lib64", "lib")
    link(home / "lib" / "libcudart.so", "libcudart.so.13")
    return home


# ---------------------------------------------------------------------------------------------- stubs


def find_cudarc():
    cargo = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    found = glob.glob(str(cargo / "registry" / "src" / "*" / "cudarc-0.19*" / "src"))
    if not found:
        fail(f"no sources of cudarc 0.19 below {cargo}: run `cargo fetch` first")
    return Path(max(found, key=lambda p: [int(n) for n in re.findall(r"\d+", Path(p).parent.name)]))


def declared_functions(cudarc, folder):
    """The names of the functions that cudarc links to, with the Rust type each returns."""
    source = (cudarc / folder / "sys" / "mod.rs").read_text()
    declared = re.findall(r'extern "C" \{\s*fn (\w+)\([^;]*?\)(?: -> ([^;]+))?;', source)
    if not declared:
        fail(f"no declarations found in {cudarc / folder}: has the layout of cudarc changed?")
    return dict(declared)


def stub_source(functions, code):
    """C++ text that defines every function weakly, so that the emulator's definitions take precedence."""
    lines = ['extern "C" {']
    for name, returned in sorted(functions.items()):
        weak = "__attribute__((weak))"
        if not returned:
            lines.append(f"{weak} void {name}() {{}}")
        elif returned.startswith("*") and "c_char" in returned:
            lines.append(f'{weak} const char *{name}() {{ return "not supported by the stub library"; }}')
        elif returned.startswith("*") or returned == "usize":
            lines.append(f"{weak} unsigned long {name}() {{ return 0; }}")
        else:
            lines.append(f"{weak} int {name}() {{ return {code}; }}")
    lines.append("}")
    return "\n".join(lines) + "\n"


def newest(paths):
    return max((p.stat().st_mtime for p in paths if p.is_file()), default=0.0)


def compile_object(source, target, dependencies, options=()):
    if target.is_file() and target.stat().st_mtime > newest([source, *dependencies]):
        return False
    run([*COMPILER, *options, "-c", source, "-o", target], f"g++ could not compile {source}")
    return True


def build_stubs(folder):
    """Compiles the stub libraries into DIR/stubs, each only if something it is made of has changed."""
    if shutil.which("g++") is None:
        fail("g++ is missing: install g++ (Debian, Ubuntu) or gcc-c++ (Fedora)")
    cudarc = find_cudarc()
    stubs, objects = folder / "stubs", folder / "objects"
    stubs.mkdir(exist_ok=True)
    objects.mkdir(exist_ok=True)
    headers = [*HERE.glob("*.h"), *KERNELS.glob("*.cuh"), Path(__file__)]
    for name, (soname, declarations, code, sources) in LIBRARIES.items():
        functions = declared_functions(cudarc, declarations)
        generated = objects / f"{name}_stubs.cpp"
        text = stub_source(functions, code)
        if not generated.is_file() or generated.read_text() != text:
            generated.write_text(text)
        jobs = [(generated, [])] + [(HERE / source, []) for source in sources]
        if name == "cuda":
            jobs += [(kernel, DEVICE) for kernel in sorted(KERNELS.glob("*.cu"))]
        made = []
        changed = False
        for source, options in jobs:
            made.append(objects / f"{name}_{source.stem}{source.suffix.replace('.', '_')}.o")
            changed |= compile_object(source, made[-1], headers if source != generated else [], options)
        # What the library was linked from is noted, so that a source that has gone counts as a change.
        recipe = objects / f"{name}.recipe"
        listing = "\n".join(p.name for p in made)
        library = stubs / soname
        if changed or not library.is_file() or not recipe.is_file() or recipe.read_text() != listing:
            linked = library.with_suffix(".new")
            run([*COMPILER, "-shared", f"-Wl,-soname,{soname}", "-o", linked, *made], f"g++ could not link {soname}")
            linked.replace(library)
            recipe.write_text(listing)
            print(f"stubs: {soname} with {len(functions)} functions", flush=True)
        else:
            print(f"stubs: {soname} is up to date")
        link(stubs / f"lib{name}.so", soname)
    return stubs


# ------------------------------------------------------------------------------------------------ use


def write_environment(folder, home, stubs):
    text = f"""# Made by emulated-card/toolkit.py; to be sourced by a shell.
export CUDA_HOME="{home}"
export CUDA_PATH="$CUDA_HOME"
export CUDA_ROOT="$CUDA_HOME"
export CUDA_COMPUTE_CAP="${{CUDA_COMPUTE_CAP:-80}}"
export PATH="$CUDA_HOME/bin:$PATH"
export CUDA_STUBS="{stubs}"
export LIBRARY_PATH="$CUDA_STUBS:$CUDA_HOME/lib${{LIBRARY_PATH:+:$LIBRARY_PATH}}"
# Without a card programs find the stub libraries when they start; with one, the real ones.
if [ ! -e /dev/nvidiactl ]; then
    export LD_LIBRARY_PATH="$CUDA_STUBS:$CUDA_HOME/lib${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
fi
"""
    path = folder / "env.sh"
    path.write_text(text)
    return path


def check(folder, stubs):
    """Compiles and runs the test program against the stub libraries, with and without the card."""
    program = folder / "smoke"
    libraries = [f"-l{name}" for name in ("cuda", "cublas", "cudnn", "curand")]
    run([*COMPILER, *DEVICE, HERE / "smoke.cpp", "-x", "none", "-o", program, f"-L{stubs}", *libraries,
         f"-Wl,-rpath,{stubs}"], "g++ could not compile the test program")
    for card in ("0", "1"):
        environment = {**os.environ, "EMULATED_NVIDIA_CARD": card}
        if subprocess.run([str(program)], env=environment).returncode != 0:
            fail(f"the test program failed with EMULATED_NVIDIA_CARD={card}")
    print("check: all is well")


def main():
    parser = argparse.ArgumentParser(description="CUDA toolkit and stub libraries without a GPU")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "target" / "cuda-toolkit", metavar="DIR",
                        help="where to put everything (default: target/cuda-toolkit)")
    parser.add_argument("--check", action="store_true", help="also compile and run the emulator's test program")
    parser.add_argument("--stubs-only", action="store_true", help="leave out the compiler; env.sh then is not written")
    options = parser.parse_args()

    begin = time.monotonic()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    home = None if options.stubs_only else fetch_wheels(folder)
    stubs = build_stubs(folder)
    if home is not None:
        # The runtime library is the real one, which does nothing without kernels of its own; programs find it beside the stubs.
        link(stubs / "libcudart.so.13", home / "lib" / "libcudart.so.13")
    if options.check:
        check(folder, stubs)
    for part in [home, stubs]:
        if part is not None:
            print(f"{part}: {size(part) / 1e6:.1f} MB")
    print(f"{time.monotonic() - begin:.1f} seconds")
    if home is not None:
        environment = write_environment(folder, home, stubs)
        print(f"\n`cargo xtask` finds it; for other commands: . {environment}"
              f"\nWithout a card, EMULATED_NVIDIA_CARD=1 makes tests run on the emulated one.")


if __name__ == "__main__":
    main()
