"""Runs the steps of a pack and keeps what they gave; started by `run.sh`.

Each step prints one line as JSON. Everything goes to OUT/summary.json and OUT/run.log. A second start of the same
command goes on: what is finished is not run again, and trainings continue from their checkpoints.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import carry
import libraries
import steps
import tables
from session import Session

STEPS = {"tests": steps.tests, "bench": steps.bench, "peers": steps.peers, **tables.STEPS}
HELP = """
steps, in this order if none is named:
  tests     golden values, lock-step tests and trainings
  bench     training steps
  peers     the same steps in PyTorch (if the pack has its PyTorch side): both layouts, TF32 and bf16
  table1    MNIST, with the profile `paper`
  table2    REFUGE, with the profile `paper`
  table3    HRF-AV, with the profile `paper` on photographs at half of their sides, for as many epochs as the time allows
"""


class Options:
    """What was asked for, with the places that follow from it."""

    def __init__(self, arguments, pack, manifest):
        vars(self).update(vars(arguments))
        self.pack, self.manifest = pack, manifest
        self.is_card = manifest["device"] == "cuda"
        self.device = arguments.device or ("cuda:0" if self.is_card else "cpu")
        self.is_small = arguments.small
        self.cases = arguments.cases.split(",") if arguments.cases else []
        self.extra = [part for value in arguments.set for part in ("--set", value)]
        self.torch_python = arguments.python[0] if arguments.python else sys.executable
        shipped = {folder.name: str(folder) for folder in (pack / "data").glob("*") if folder.is_dir()}
        self.data = {**shipped, **dict(pair.split("=", 1) for pair in arguments.data)}
        self.data = {name: value if value == "synth" else str(Path(value).resolve()) for name, value in self.data.items()}

    def program(self, name):
        return self.pack / "bin" / name

    def variables_of_tests(self):
        return {"MTCOOL_GOLDEN_DIR": str(self.pack / "golden"), "MTCOOL_PROGRAM": str(self.program("mtcool"))}


def parse(arguments, manifest):
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__, epilog=HELP,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("steps", nargs="*", metavar="STEP", help="the steps to run; all if none is named")
    parser.add_argument("--minutes", type=float, help="end after so many minutes; the next start goes on")
    parser.add_argument("--out", default="out", metavar="DIR", help="the folder for what was found out (default: out)")
    parser.add_argument("--device", help="cuda:0 and the like, or cpu")
    parser.add_argument("--data", action="append", default=[], metavar="SET=DIR", help="a data set: mnist, refuge or hrf-av; DIR may be `synth`")
    parser.add_argument("--seeds", type=int, help="number of runs of each method in a table")
    parser.add_argument("--methods", help="methods of a table, separated by commas")
    parser.add_argument("--epochs", type=int, help="epochs of a table, instead of the profile's or as many as fit")
    parser.add_argument("--scale", type=int, default=2, help="table3: how much shorter the photographs' sides are (default: 2)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of a table's experiment")
    parser.add_argument("--cases", help="cases of bench and peers, separated by commas")
    parser.add_argument("--seconds", type=float, default=3, help="measured seconds of each case (default: 3)")
    parser.add_argument("--small", action="store_true", help="a rehearsal: the smallest case, tables with few drawn images")
    parser.add_argument("--again", action="store_true", help="run the named steps again, also if they are finished")
    parser.add_argument("--libraries", metavar="DIR", help="a folder with CUDA's libraries")
    parser.add_argument("--python", action="append", default=[], metavar="PYTHON", help="a Python with PyTorch for CUDA (default: this one)")
    parser.add_argument("--emulated", metavar="DIR", help="the libraries of the emulated card, which then is used")
    parser.add_argument("--collect", metavar="DIR", help="at the end, copy summary, log, tables and results (in pieces) to DIR")
    parser.add_argument("--continue", dest="continued", metavar="DIR", help="first take over what --collect left in DIR")
    given = parser.parse_intermixed_args(arguments)
    unknown = [name for name in given.steps if name not in STEPS]
    if unknown:
        parser.error(f"unknown step `{unknown[0]}`: expected {', '.join(STEPS)}")
    for pair in given.data:
        if pair.partition("=")[0] not in tables.DATASETS.values() or not pair.partition("=")[2]:
            parser.error(f"`--data` is `{pair}`: expected SET=DIR, SET being {', '.join(tables.DATASETS.values())}")
    for name in ("minutes", "seeds", "epochs", "scale", "seconds"):
        if getattr(given, name) is not None and not getattr(given, name) > 0:
            parser.error(f"`--{name}` is {getattr(given, name)}: expected a number above 0")
    if given.device and given.device.startswith("cuda") != (manifest["device"] == "cuda"):
        parser.error(f"`--device` is `{given.device}`, and this pack was built for `{manifest['device']}`")
    return given


def environment_of(options, glibc):
    """The environment of the programs, and what is known of the machine. Raises `libraries.Unusable`."""
    environment = dict(os.environ)
    machine = {"system": platform.platform(), "processor": processor(), "cores": len(os.sched_getaffinity(0)), "glibc": glibc,
               "host": platform.node(), "python": platform.python_version()}
    if options.is_card:
        folder = options.libraries
        if options.emulated:
            folder = str(Path(options.emulated).resolve())
            environment["EMULATED_NVIDIA_CARD"] = "1"
            machine["emulated"] = True
        pythons = [sys.executable, *options.python]
        folders, files = libraries.find(options.manifest["needed"], folder, pythons, environment)
        path = [*folders, *filter(None, [environment.get("LD_LIBRARY_PATH")])]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(path)
        said = libraries.ask_libraries(files, environment)
        libraries.judge(options.manifest, said)
        machine.update(said, driver=driver_version())
    return environment, machine


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def driver_version():
    """The driver's own version, such as 580.159.04; None where only the emulated card is."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text()
        return next(word for word in text.split() if word[0].isdigit() and word.count(".") >= 1)
    except (OSError, StopIteration):
        pass
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60).stdout.decode().split("\n")[0] or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def perform(session, options, name):
    """Runs a step unless it is finished. Returns whether it went well; what was left out counts as well."""
    known = session.step(name)
    if options.again and options.steps:
        known.clear()
    if known.get("state") == "ok":
        session.say({"step": name, "state": "ok", "note": "finished before"})
        return True
    session.note(f"== {name}")
    begun = time.monotonic()
    try:
        steps.stop_if_over(session)
        outcome = STEPS[name](session, options)
        known["state"] = "left out" if isinstance(outcome, str) else "ok" if outcome else "failed"
        if isinstance(outcome, str):
            known["reason"] = outcome
    except steps.Stopped:
        known["state"] = "stopped"
    except Exception as error:  # A step that fails must not take the others with it.
        known.update(state="failed", error=f"{type(error).__name__}: {error}")
    known["seconds"] = round(known.get("seconds", 0) + time.monotonic() - begun, 1)
    session.save()
    shown = {key: known[key] for key in ("state", "seconds", "passed", "failed", "failures", "reason", "error", "flags") if key in known}
    session.say({"step": name, **shown})
    return known["state"] in ("ok", "left out")


def main():
    pack = Path(__file__).resolve().parent.parent
    manifest = json.loads((pack / "manifest.json").read_text(encoding="utf-8"))
    options = Options(parse(sys.argv[1:], manifest), pack, manifest)
    out = Path(options.out).resolve()
    if options.continued:
        carry.restore(Path(options.continued), out)
    session = Session(out, options.minutes, dict(os.environ))
    session.note(f"start: {' '.join(sys.argv[1:])}")
    try:
        session.environment, machine = environment_of(options, libraries.check_glibc(manifest))
    except libraries.Unusable as error:
        session.say({"step": "machine", "state": "failed", "error": str(error)})
        sys.exit(f"run.sh: {error}")
    session.summary.update(pack=manifest, machine=machine)
    session.say({"step": "machine", "state": "ok", **machine})
    session.save()
    wanted = [name for name in STEPS if not options.steps or name in options.steps]
    well = [perform(session, options, name) for name in wanted]
    session.summary["speed"] = steps.ratios(session.summary)
    session.save()
    for row in session.summary["speed"]:
        session.say({"step": "speed", **row})
    states = {name: session.step(name).get("state") for name in wanted}
    session.say({"step": "end", "seconds": round(time.monotonic() - session.begun, 1), "states": states, "summary": str(session.path)})
    if options.collect:
        session.log.flush()
        carry.collect(out, Path(options.collect))
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()
