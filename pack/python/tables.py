"""The steps that train: the paper's tables, each within the time that is left, to be continued by the next start."""

import csv
import math

from steps import Stopped

DATASETS = {"table1": "mnist", "table2": "refuge", "table3": "hrf-av"}
# Of the profile `paper` in experiments/table3.toml: what a smaller photograph divides, and the share of the warm-up.
TABLE3_LENGTHS = {"patch": 2048, "tile": 2048, "overlap": 256, "margin": 64}
TABLE3_EPOCHS, TABLE3_WARMUP = 200, 1000
# How much longer than an epoch of Joint one of another method takes, for methods whose time was not measured. Gradients
# of each task cost one backward pass more per task; MT-COOL's figure is measured.
RELATIVE_TIME = {"independent": 1.5, "joint": 1.0, "cagrad": 2.0, "graddrop": 2.0, "mgda": 2.0, "pcgrad": 2.0}
TIMED = "joint,mtcool"
# The part of the time that is planned for: evaluation and start take the rest.
PLANNED = 0.7


def rows_of(path):
    """The rows of a table.csv: method -> {runs, seconds per epoch, metrics}."""
    found = {}
    if path.is_file():
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                entry = found.setdefault(row.get("label") or row["method"], {
                    "method": row["method"], "runs": row.get("runs"), "seconds_per_epoch": row.get("seconds_per_epoch"), "metrics": {}})
                entry["metrics"][f"{row['task']}.{row['metric']}"] = {"mean": row.get("mean"), "std": row.get("std")}
    return found


def reproduce(session, options, table, results, flags, limit=None):
    """Trains or continues a table; returns its exit status, None if it was stopped, and the text of its output."""
    command = [options.program("mtcool"), "reproduce", table, "--device", options.device, "--results", results,
               "--checkpoint-seconds", "10"]
    data = "synth" if options.is_small else options.data.get(DATASETS[table])
    command += ["--data", data] if data else []
    return session.run([*command, *flags, *options.extra], limit=limit)


def table_step(table):
    def step(session, options):
        data = options.data.get(DATASETS[table])
        if data is None and not options.is_small:
            return f"no data: pack it with `--data {DATASETS[table]}=DIR`, or name it here with `--data {DATASETS[table]}=DIR|synth`"
        known = session.step(table)
        flags = flags_of(session, options, table, known)
        results = session.out / "results"
        status, text = reproduce(session, options, table, results, flags)
        if status is None:
            # The table of the runs that are finished.
            known["stopped"] = True
            session.deadline, kept = None, session.deadline
            session.run([options.program("mtcool"), "report", table, "--results", results], limit=60)
            session.deadline = kept
        else:
            known.pop("stopped", None)
        known["rows"] = rows_of(results / table / "table.csv")
        if status is None:
            raise Stopped
        if status != 0:
            known["error"] = f"exit status {status}: {text[-1500:]}"
        return status == 0
    return step


def flags_of(session, options, table, known):
    """The flags of a table. They are kept, since a run goes on only with the configuration that it began with."""
    if "flags" not in known:
        known["flags"] = choose_flags(session, options, table)
        session.save()
    return known["flags"]


def choose_flags(session, options, table):
    if options.is_small:
        return small(table, options.methods or TIMED)
    flags = ["--profile", "paper"]
    flags += ["--seeds", str(options.seeds)] if options.seeds else []
    flags += ["--methods", options.methods] if options.methods else []
    if table != "table3":
        return flags + (["--set", f"training.epochs={options.epochs}"] if options.epochs else [])
    return [*flags, *scaled(options.scale), *lasting(options.epochs or affordable_epochs(session, options))]


def scaled(scale):
    """Photographs, patches and tiles whose sides are shorter by a factor."""
    lengths = {"scale": scale, **{name: length // scale for name, length in TABLE3_LENGTHS.items()}}
    return [part for name, value in lengths.items() for part in ("--set", f"data.settings.{name}={value}")]


def lasting(epochs):
    """A training of fewer epochs, whose warm-up has the share that it has in the paper's profile."""
    warmup = max(1, round(TABLE3_WARMUP * epochs / TABLE3_EPOCHS))
    return ["--set", f"training.epochs={epochs}", "--set", f"method.mtcool.warmup_iterations={warmup}"]


def affordable_epochs(session, options):
    """Epochs that fit into the time that is left, from the time of one epoch of Joint and of MT-COOL.

    The number of epochs has to be known before the training, since the learning rate falls to 0 at its end.
    """
    flags = ["--profile", "paper", "--seeds", "1", "--methods", TIMED, *scaled(options.scale), *lasting(1)]
    status, text = reproduce(session, options, "table3", session.out / "timing", flags)
    if status is None:
        raise Stopped
    if status != 0:
        raise RuntimeError(f"the epoch that is timed failed: exit status {status}: {text[-1500:]}")
    seconds = {row["method"]: float(row["seconds_per_epoch"]) for row in rows_of(session.out / "timing/table3/table.csv").values()}
    methods = options.methods.split(",") if options.methods else [*RELATIVE_TIME, "mtcool"]
    for name in methods:
        seconds.setdefault(name, seconds["joint"] * RELATIVE_TIME.get(name, 2.0))
    one_epoch = sum(seconds[name] for name in methods) * (options.seeds or 3)
    left = session.left()
    epochs = TABLE3_EPOCHS if left is None else min(TABLE3_EPOCHS, math.floor(PLANNED * left / one_epoch))
    session.say({"step": "table3", "seconds_per_epoch": seconds, "seconds_left": left, "epochs": epochs})
    if epochs < 1:
        raise RuntimeError(f"one epoch of all methods takes about {one_epoch:.0f} s, and {left:.0f} s are left: give more "
                           f"`--minutes`, fewer `--methods`, `--seeds 1`, or a larger `--scale`")
    return epochs


def small(table, methods):
    """A rehearsal: few drawn images, small networks, one epoch."""
    network = ["--set", "network.widths=[4, 8, 16]", "--set", "network.groups=2"]
    short = ["--set", "training.epochs=1", "--set", "method.mtcool.warmup_iterations=1", "--methods", methods, "--seeds", "1"]
    return {
        "table1": ["--set", "data.synthetic={ train = 600, test = 100, seed = 1 }", *short],
        "table2": ["--set", "data.synthetic={ train = 24, test = 10, seed = 3, shrink = 16 }", "--set", "data.settings.side=32",
                   *network, *short],
        "table3": ["--set", "data.synthetic={ train = 6, test = 12, seed = 3, shrink = 16 }", "--set",
                   "data.settings={ scale = 16, patch = 32, tile = 64, overlap = 16, margin = 4, patches_per_photograph = 2, held_out = 1 }",
                   *network, *short],
    }[table]


STEPS = {table: table_step(table) for table in DATASETS}
