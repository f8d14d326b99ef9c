#!/usr/bin/env python3
"""Packs a folder into a .tar.xz: `cargo xtask pack` calls it.

usage: archive.py FOLDER ARCHIVE

The programs of a pack hold the same kernels, tens of megabytes of them each. The dictionary is larger than all programs
together, so what they share is stored once. The folder `data` and what runs have left are not packed.
"""

import lzma
import sys
import tarfile
import time
from pathlib import Path

DICTIONARY = 384 << 20
LEFT_OUT = {"data", "out"}
# What may be carried to a machine is limited.
LARGEST = 60 << 20


def plain(member):
    """The same archive for the same files."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = 0
    member.mode = 0o755 if member.mode & 0o100 or member.isdir() else 0o644
    return member


def main():
    folder, archive = Path(sys.argv[1]), Path(sys.argv[2])
    begun = time.monotonic()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": DICTIONARY}]
    new = archive.with_name(archive.name + ".new")
    with lzma.open(new, "wb", format=lzma.FORMAT_XZ, filters=filters) as packed:
        with tarfile.open(fileobj=packed, mode="w|", format=tarfile.GNU_FORMAT) as tar:
            for path in sorted(folder.iterdir()):
                if path.name not in LEFT_OUT:
                    for part in [path, *sorted(path.rglob("*"))]:
                        if "__pycache__" not in part.parts:
                            tar.add(part, f"{folder.name}/{part.relative_to(folder).as_posix()}", recursive=False, filter=plain)
    new.replace(archive)
    size = archive.stat().st_size
    print(f"{archive}: {size / (1 << 20):.1f} MiB, in {time.monotonic() - begun:.0f} s")
    if size > LARGEST:
        sys.exit(f"archive.py: {archive} is larger than {LARGEST >> 20} MiB: leave out programs with `--programs`")


if __name__ == "__main__":
    main()
