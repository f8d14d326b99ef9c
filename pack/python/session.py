"""One start of the pack: the deadline, the log, the summary that survives it, and programs that are started.

Everything that is known so far is in `summary.json` after every step and after every part of one, so a start that is
killed loses at most the part that was running.
"""

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path


def write_whole(path, text):
    """Writes a file completely or not at all."""
    new = path.with_name(path.name + ".new")
    with open(new, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


class Session:
    def __init__(self, out, minutes, environment):
        self.out = Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.environment = environment
        self.begun = time.monotonic()
        self.deadline = None if minutes is None else self.begun + 60 * minutes
        self.path = self.out / "summary.json"
        self.summary = {"steps": {}}
        if self.path.exists():
            try:
                self.summary = json.loads(self.path.read_text(encoding="utf-8"))
                self.summary["steps"].items()
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SystemExit(f"run.sh: `{self.path}` is damaged ({error}): repair it, or name another folder with `--out`")
        self.log = open(self.out / "run.log", "a", encoding="utf-8")

    def save(self):
        write_whole(self.path, json.dumps(self.summary, indent=1) + "\n")

    def note(self, text):
        """A line for the log alone."""
        self.log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self.log.flush()

    def say(self, record):
        """A line as JSON on the standard output, and in the log."""
        line = json.dumps(record)
        print(line, flush=True)
        self.note(line)

    def step(self, name):
        """What is known of a step: a dictionary that `save` keeps."""
        return self.summary["steps"].setdefault(name, {})

    def left(self):
        """Seconds until the deadline; None without one."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    def half(self):
        """Half of the seconds that are left: what a step may take whose programs could hang, so that the others run."""
        left = self.left()
        return None if left is None else left / 2

    def is_over(self):
        left = self.left()
        return left is not None and left <= 0

    def run(self, command, limit=None, on_line=None, environment=None):
        """Runs a program until it ends, or the deadline or `limit` seconds pass. Returns (exit status, its output);
        the status is None if it was stopped. All output goes to the log, and each line to `on_line`."""
        command = [str(part) for part in command]
        self.note("$ " + " ".join(command))
        seconds = [value for value in (self.left(), limit) if value is not None]
        lines = []
        try:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.out,
                                     env=environment or self.environment, start_new_session=True)
        except OSError as error:
            self.note(str(error))
            return -1, f"{command[0]} could not be started: {error}"

        def read():
            for raw in child.stdout:
                line = raw.decode(errors="replace").rstrip("\n")
                lines.append(line)
                self.log.write(line + "\n")
                if on_line is not None:
                    on_line(line)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            status = child.wait(timeout=max(min(seconds), 0) if seconds else None)
        except subprocess.TimeoutExpired:
            status = None
            end(child)
        except BaseException:
            end(child)
            raise
        reader.join(timeout=10)
        self.log.flush()
        self.note(f"ended: {'stopped, its time is over' if status is None else f'exit status {status}'}")
        return status, "\n".join(lines)


def end(child):
    """Ends a program and what it has started: first politely, so that a training can write a checkpoint."""
    for number, patience in ((signal.SIGTERM, 10), (signal.SIGKILL, None)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            pass
        try:
            child.wait(timeout=patience)
            return
        except subprocess.TimeoutExpired:
            continue


def objects(text):
    """The lines of a program's output that are JSON objects."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                found.append(json.loads(line))
            except ValueError:
                pass
    return found
