"""Finds the shared libraries that the pack's programs need, and judges whether this machine can run them.

A program built for NVIDIA cards names its libraries by soname. The driver's library comes with the driver, the others
from a CUDA toolkit or from the packages that a Python with PyTorch brings along. All functions here only look; `run.py`
passes the folders on as LD_LIBRARY_PATH.
"""

import glob
import json
import os
import re
import subprocess
import sys
from pathlib import Path

DRIVER = "libcuda.so.1"
TOOLKIT_VARIABLES = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"]
# Where drivers put their library when the system's loader does not know it: containers, WSL, NixOS.
DRIVER_FOLDERS = ["/usr/local/nvidia/lib64", "/usr/local/nvidia/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib64",
                  "/usr/lib/wsl/lib", "/run/opengl-driver/lib"]
# The oldest driver for each major version of CUDA (CUDA's release notes), for messages.
OLDEST_DRIVER = {12: "525", 13: "580"}
SYSTEM = "the system's loader"


class Unusable(Exception):
    """This machine cannot run the pack; the text says why, and what to do."""


def existing(folders):
    return [folder for folder in dict.fromkeys(Path(f) for f in folders) if folder.is_dir()]


def python_folders(python):
    """Folders with NVIDIA's libraries among the packages of a Python, such as nvidia/cu13/lib and nvidia/cudnn/lib."""
    ask = "import site, sys; print('\\n'.join([*sys.path, *site.getsitepackages(), site.getusersitepackages()]))"
    try:
        answer = subprocess.run([str(python), "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    roots = [Path(line) for line in answer.stdout.decode().splitlines() if line]
    return existing(path for root in roots for path in sorted(glob.glob(str(root / "nvidia" / "*" / "lib"))))


def toolkit_folders(environment, usual="/usr/local/cuda*"):
    homes = [environment[name] for name in TOOLKIT_VARIABLES if environment.get(name)]
    homes += sorted(glob.glob(usual), reverse=True)
    parts = ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"]
    return existing(Path(home) / part for home in homes for part in parts)


def loader_cache():
    """Soname -> file, as `ldconfig -p` lists them; empty where there is no ldconfig."""
    for program in ("ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"):
        try:
            answer = subprocess.run([program, "-p"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            continue
        listed = re.findall(r"^\s*(\S+) \(.*\) => (\S+)$", answer.stdout.decode(errors="replace"), re.M)
        return {name: Path(path) for name, path in reversed(listed)}
    return {}


def places(options_folder, pythons, environment, cache):
    """(name of a place, its folders), in the order in which they are preferred."""
    given = [] if options_folder is None else [("--libraries", existing([options_folder]))]
    path = [folder for folder in environment.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    cached = existing(file.parent for file in cache.values())
    return [*given, ("LD_LIBRARY_PATH", existing(path)),
            *((f"the packages of {python}", python_folders(python)) for python in pythons),
            ("the CUDA toolkit", toolkit_folders(environment)), (SYSTEM, cached)]


def choose(needed, places):
    """soname -> (folder, place) for the libraries that were found.

    Libraries of one place belong together, so the first place that has all of them wins. Only if none has, each comes
    from the first place that has it.
    """
    def of_place(name, folders):
        found = {}
        for soname in needed:
            holder = next((folder for folder in folders if (folder / soname).exists()), None)
            if holder is not None:
                found[soname] = (holder, name)
        return found

    each = [of_place(name, folders) for name, folders in places]
    whole = next((found for found in each if len(found) == len(needed)), None)
    if whole is not None:
        return whole
    merged = {}
    for found in each:
        for soname, holder in found.items():
            merged.setdefault(soname, holder)
    return merged


def find_driver(options_folder, environment, cache):
    """(folder, place) of the driver's library: a given one first, then the system's, which belongs to its kernel module."""
    path = [folder for folder in environment.get("LD_LIBRARY_PATH", "").split(os.pathsep) if folder]
    for folder in existing([*filter(None, [options_folder]), *path]):
        if (folder / DRIVER).exists():
            return folder, "the driver"
    if DRIVER in cache:
        return cache[DRIVER].parent, SYSTEM
    for folder in existing(DRIVER_FOLDERS):
        if (folder / DRIVER).exists():
            return folder, "the driver"
    raise Unusable(f"no NVIDIA driver: {DRIVER} is neither known to the system's loader nor in {', '.join(DRIVER_FOLDERS)}. "
                   f"`nvidia-smi` tells whether there is a card and a driver; `--libraries DIR` names another folder")


def find(needed, options_folder, pythons, environment):
    """The folders for LD_LIBRARY_PATH, and soname -> file. Raises `Unusable` if a library is missing."""
    if not needed:
        return [], {}
    cache = loader_cache()
    searched = places(options_folder, pythons, environment, cache)
    rest = [soname for soname in needed if soname != DRIVER]
    chosen = choose(rest, searched)
    if DRIVER in needed:
        chosen[DRIVER] = find_driver(options_folder, environment, cache)
    missing = [soname for soname in needed if soname not in chosen]
    if missing:
        where = "; ".join(f"{name}: {', '.join(map(str, folders)) or 'nothing'}" for name, folders in searched)
        raise Unusable(f"these libraries are missing: {', '.join(missing)}. Searched: {where}. Name their folder with "
                       f"`--libraries DIR`, or a Python that has PyTorch for CUDA with `--python PYTHON`, or install "
                       f"them: pip install nvidia-cuda-runtime nvidia-cublas nvidia-curand nvidia-cuda-nvrtc "
                       f"nvidia-cudnn-cu13")
    # Libraries load further ones of their own place by name, so all folders of the chosen places are passed on. The
    # loader finds its own folders without help.
    used = {place for _, place in chosen.values()} - {SYSTEM}
    folders = [holder for holder, place in chosen.values() if place in used and place != "the driver"]
    folders += [folder for name, known in searched if name in used for folder in known]
    # The driver's folder comes last: it may be one of the system's, with other libraries in it.
    folders += [holder for holder, place in chosen.values() if place == "the driver"]
    files = {soname: str(chosen[soname][0] / soname) for soname in needed}
    return [str(folder) for folder in dict.fromkeys(folders)], files


def ask_libraries(files, environment):
    """What driver and libraries say of themselves, asked in a process of its own that loads exactly these files."""
    script = Path(__file__).with_name("versions.py")
    answer = subprocess.run([sys.executable, str(script), json.dumps(files)], env=environment, timeout=300,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        return json.loads(answer.stdout)
    except ValueError:
        said = answer.stderr.decode(errors="replace").strip()[-500:]
        raise Unusable(f"the libraries could not be loaded (exit status {answer.returncode}): {said}") from None


def as_numbers(version):
    return tuple(int(part) for part in version.split("."))


def judge(manifest, said):
    """Raises `Unusable` if the driver, the card or a library is too old for the pack."""
    if "error" in said:
        raise Unusable(said["error"])
    built_with = as_numbers(manifest["cuda"])
    driver = as_numbers(said["driver_supports"])
    if driver < built_with:
        oldest = OLDEST_DRIVER.get(built_with[0], "newer")
        raise Unusable(f"the driver supports CUDA {said['driver_supports']}, and this pack was built with CUDA "
                       f"{manifest['cuda']}: it needs driver {oldest} or later")
    if not said["cards"]:
        raise Unusable("the driver sees no card; `nvidia-smi -L` lists them, and CUDA_VISIBLE_DEVICES may hide them")
    oldest = as_numbers(manifest["compute"][0])
    for card in said["cards"]:
        if as_numbers(card["compute"]) < oldest:
            raise Unusable(f"{card['name']} has compute capability {card['compute']}; the kernels of this pack need "
                           f"{manifest['compute'][0]} or later (build it with CUDA_COMPUTE_CAP={''.join(card['compute'].split('.'))})")
    for library, version in said["libraries"].items():
        wanted = manifest["versions"].get(library)
        if version is not None and wanted is not None and as_numbers(version)[0] != as_numbers(wanted)[0]:
            raise Unusable(f"{library} {version} was found in {said['files'].get(library)}; this pack was built for "
                           f"version {wanted}")


def check_glibc(manifest):
    """Raises `Unusable` if the C library is older than the programs need."""
    try:
        name, version = os.confstr("CS_GNU_LIBC_VERSION").split()
    except (ValueError, OSError, AttributeError):
        raise Unusable("this system has no GNU C library, which the pack's programs need") from None
    if as_numbers(version) < as_numbers(manifest["glibc"]):
        raise Unusable(f"this system has {name} {version}, and the pack's programs need {manifest['glibc']} or later: "
                       f"build the pack on an older system")
    return version
