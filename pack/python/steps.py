"""The steps of a pack other than the tables: tests, benchmarks and the PyTorch side.

A step is a function of (session, options) that fills the dictionary `session.step(NAME)` part by part and returns
whether all of it went well; what is there already is not run again.
"""

import re
from pathlib import Path

from session import objects

# A rehearsal takes cases that a processor can run.
REHEARSED = ["lenet_joint"]
TEST = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. (ok|FAILED|ignored)")


# Seconds after which a single test or case counts as hanging.
PATIENCE = 120


class Stopped(Exception):
    """The time is over; the next start goes on."""


def stop_if_over(session):
    if session.is_over():
        raise Stopped


def trouble(session, status, text, room=1000):
    """What to keep of a program that gave no result. Raises `Stopped` if the reason is that the time of this start is over."""
    if status is None:
        stop_if_over(session)
        return f"stopped, since it took too long: {text[-room:]}"
    return f"exit status {status}: {text[-room:]}"


def tests(session, options):
    """Golden values and lock-step tests. A test that fails among others runs again alone: one error of a card can take
    all later ones of its process with it."""
    known = session.step("tests")
    results = known.setdefault("results", {})
    program = options.program("tests")
    flags = ["--include-ignored"] if options.is_card else []
    status, listed = session.run([program, "--list", "--format", "terse", *flags])
    names = re.findall(r"^(\S+): test$", listed, re.M)
    if status != 0 or not names:
        raise RuntimeError(f"{program.name} lists no tests (exit status {status}): {listed[-500:]}")

    def on_line(line):
        found = TEST.match(line)
        if found and found[2] != "ignored":
            results[found[1]] = found[2]

    # Tests that need a card are no part of a pack without one.
    if not options.is_card:
        _, skipped = session.run([program, "--list", "--format", "terse", "--ignored"])
        names = [name for name in names if name not in re.findall(r"^(\S+): test$", skipped, re.M)]
    environment = {**session.environment, **options.variables_of_tests()}
    rest = [name for name in names if results.get(name) != "ok"]
    if rest:
        session.run([program, *flags, "--exact", *rest], session.half(), on_line, environment)
        session.save()
        for name in [name for name in rest if results.get(name) != "ok"]:
            stop_if_over(session)
            status, text = session.run([program, *flags, "--exact", name], PATIENCE, on_line, environment)
            if results.get(name) != "ok":
                results[name] = f"FAILED: {trouble(session, status, text, 1500)}"
            session.save()
    failed = [name for name in names if results.get(name) != "ok"]
    known.update(passed=len(names) - len(failed), failed=len(failed), failures=failed)
    return not failed


def cases_of(session, options):
    """The benchmark's cases for the device, or those that were asked for."""
    if options.cases:
        return options.cases
    if options.is_small:
        return REHEARSED
    status, text = session.run([options.program("training"), "--list", "--device", options.device])
    if status != 0:
        raise RuntimeError(f"the benchmark lists no cases: {text[-500:]}")
    return text.split()


def bench(session, options):
    """Training steps, each case in a process of its own."""
    known = session.step("bench")
    done = known.setdefault("cases", {})
    ok = True
    for case in cases_of(session, options):
        if "ms_per_step" in done.get(case, {}):
            continue
        stop_if_over(session)
        command = [options.program("training"), "--json", "--device", options.device, "--seconds", options.seconds, case]
        status, text = session.run(command, PATIENCE)
        measured = next((record for record in objects(text) if record.get("case") == case), None)
        done[case] = measured or {"error": trouble(session, status, text)}
        ok = ok and measured is not None
        session.say({"step": "bench", **done[case], "case": case})
        session.save()
    return ok


def peers(session, options):
    """The same steps in PyTorch, by the program in the pack's folder `peers`: both layouts, TF32, and bf16 autocast."""
    folder = options.pack / "peers"
    if not (folder / "torch_bench.py").is_file():
        return "this pack has no PyTorch side; `cargo xtask pack --peers DIR` adds one"
    known = session.step("peers")
    done = known.setdefault("cases", {})
    script = Path(__file__).with_name("peers.py")
    wanted = cases_of(session, options)
    # What failed runs again.
    for key in [key for key, record in done.items() if "error" in record]:
        del done[key]
    kept = ",".join(done)

    def on_line(line):
        for record in objects(line):
            if "case" in record:
                key = f"{record['case']} {record['layout']} {record['arithmetic']}"
                done[key] = record
                session.say({"step": "peers", **record})
                session.save()

    command = [options.torch_python, script, folder, "--device", "cuda" if options.is_card else "cpu",
               "--seconds", options.seconds, "--skip", kept, *wanted]
    # PyTorch brings its own libraries.
    plain = {key: value for key, value in session.environment.items() if key != "LD_LIBRARY_PATH"}
    status, text = session.run(command, session.half(), on_line, plain)
    known.pop("error", None)
    if status != 0:
        known["error"] = trouble(session, status, text)
    return status == 0 and not any("error" in record for record in done.values())


def ratios(summary):
    """How long PyTorch takes for what the program takes one second for, with PyTorch's better layout, case by case."""
    ours = summary["steps"].get("bench", {}).get("cases", {})
    theirs = summary["steps"].get("peers", {}).get("cases", {}).values()
    rows = []
    for case, record in ours.items():
        row = {"case": case, "ms_per_step": record.get("ms_per_step")}
        for arithmetic in dict.fromkeys(other["arithmetic"] for other in theirs):
            times = {other["layout"]: other["ms_per_step"] for other in theirs
                     if other["case"] == case and other["arithmetic"] == arithmetic and "ms_per_step" in other}
            if times and row["ms_per_step"]:
                layout = min(times, key=times.get)
                row[f"pytorch_{arithmetic}"] = {"ms_per_step": times[layout], "layout": layout,
                                                "speed_relative_to_pytorch": round(times[layout] / row["ms_per_step"], 3)}
        rows.append(row)
    return rows
