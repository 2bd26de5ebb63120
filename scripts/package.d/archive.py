"""Archives with one time, files of root and sorted names: the same bytes each time."""

import gzip
import io
import tarfile

import apk3
from source import epoch


def fields(**values):
    return "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in values.items()).encode()


def ar_member(name, data):
    header = f"{name:<16}{epoch():<12}{0:<6}{0:<6}{0o100644:<8o}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)


def tar(files):
    """A tar archive with the files and their parent folders."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for folder in apk3.by_folder(files):
            entry = tarfile.TarInfo(f"./{folder}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            add(archive, entry, b"")
        for path, (data, mode) in files.items():
            entry = tarfile.TarInfo(f"./{path}")
            entry.mode = mode
            add(archive, entry, data)
    return buffer.getvalue()


def add(archive, entry, data):
    entry.uname = entry.gname = "root"
    entry.size, entry.mtime = len(data), epoch()
    archive.addfile(entry, io.BytesIO(data))


def compressed(data):
    return gzip.compress(data, 9, mtime=0)
