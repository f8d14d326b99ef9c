"""Takes what was found out to another machine and back: a few files of limited size.

`collect` leaves summary.json, run.log, tables.tar.gz (everything that is small) and results.tar.gz.00, .01, ... (models and
checkpoints); `restore` makes the folder again, so that trainings go on where they stopped.
"""

import gzip
import io
import shutil
import tarfile
from pathlib import Path

PIECE = 15 << 20
# What fits into the archive of small files.
SMALL = 1 << 20


class Pieces(io.RawIOBase):
    """A file that is written in pieces of at most `PIECE` bytes."""

    def __init__(self, stem):
        self.stem, self.number, self.file, self.room = stem, 0, None, 0

    def writable(self):
        return True

    def write(self, data):
        data = memoryview(data)
        count = len(data)
        while len(data) > 0:
            if self.room == 0:
                self.close_piece()
                self.file = open(f"{self.stem}.{self.number:02}", "wb")
                self.number, self.room = self.number + 1, PIECE
            part = data[:self.room]
            self.file.write(part)
            self.room -= len(part)
            data = data[len(part):]
        return count

    def close_piece(self):
        if self.file is not None:
            self.file.close()
            self.file = None

    def close(self):
        self.close_piece()
        super().close()


def collect(out, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("results.tar.gz.*"):
        old.unlink()
    for name in ("summary.json", "run.log"):
        if (out / name).exists():
            shutil.copyfile(out / name, folder / name)
    files = sorted(path for root in ("results", "timing") for path in (out / root).rglob("*") if path.is_file())
    with tarfile.open(folder / "tables.tar.gz", "w:gz") as archive:
        for path in files:
            if path.stat().st_size <= SMALL and "checkpoints" not in path.parts and "maps" not in path.parts:
                archive.add(path, path.relative_to(out).as_posix())
    pieces = Pieces(str(folder / "results.tar.gz"))
    # Most of it are models, which hardly get smaller.
    with gzip.GzipFile(fileobj=pieces, mode="wb", compresslevel=1) as packed:
        with tarfile.open(fileobj=packed, mode="w|") as archive:
            for path in files:
                archive.add(path, path.relative_to(out).as_posix())
    pieces.close()


def restore(folder, out):
    pieces = sorted(folder.glob("results.tar.gz.*"))
    if not (folder / "summary.json").is_file():
        raise SystemExit(f"run.sh: `--continue {folder}`: expected a folder that `--collect` filled, with summary.json")
    if (out / "summary.json").exists():
        return  # A second start of the same command goes on with what the first has done since.
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "summary.json", out / "summary.json")
    if pieces:
        whole = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
        with tarfile.open(fileobj=whole, mode="r:gz") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(out, filter="data")
            else:
                archive.extractall(out)
