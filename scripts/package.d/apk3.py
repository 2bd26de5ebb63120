"""Packages of apk-tools 3, which OpenWrt 25.12 and later install, made without apk.

The page apk-v3(5) describes the format; the numbers of fields come from src/apk_adb.h in apk-tools, the order
of writing from src/app_mkpkg.c. A package is a small database (block ADB) that describes it, and the contents
of its files (blocks DATA), all deflated.
"""

import hashlib
import struct
import zlib

SCHEMA_PACKAGE = 0x676B6370
INT, BLOB_8, BLOB_16, BLOB_32, ARRAY, OBJECT = (kind << 28 for kind in (0x1, 0x8, 0x9, 0xA, 0xD, 0xE))
NULL = 0
BLOCK_ADB, BLOCK_DATA = 0, 2

# Slots of a package's info, from 1 on; the missing ones stay empty.
INFO = {"name": 1, "version": 2, "description": 4, "arch": 5, "license": 6, "origin": 7}
HASHES, INSTALLED_SIZE, DEPENDS = 3, 12, 15
# Slots of its scripts.
SCRIPTS = {"post-install": 3, "pre-deinstall": 4, "post-upgrade": 7}


class Database:
    """Concatenated values; a word with kind and offset refers to each."""

    def __init__(self):
        self.bytes = bytearray(8)  # version 0, then a place for the root's value
        self.known = {}

    def _put(self, data, alignment):
        if data not in self.known:
            self.bytes += bytes(-len(self.bytes) % alignment)
            self.known[data] = len(self.bytes)
            self.bytes += data
        return self.known[data]

    def blob(self, data):
        """Adds bytes or text; an empty one is NULL."""
        data = data.encode() if isinstance(data, str) else data
        if not data:
            return NULL
        for kind, code, width in ((BLOB_8, "<B", 1), (BLOB_16, "<H", 2), (BLOB_32, "<I", 4)):
            if len(data) < 1 << 8 * width:
                return kind | self._put(struct.pack(code, len(data)) + data, width)
        raise ValueError("too long")

    def slots(self, kind, values):
        """Adds an object or an array: the number of slots including this word, then the slots."""
        values = list(values)
        while values and values[-1] == NULL:
            values.pop()
        if not values:
            return NULL
        words = [len(values) + 1, *values]
        return kind | self._put(struct.pack(f"<{len(words)}I", *words), 4)

    def object(self, fields):
        """Adds an object from slot numbers and values."""
        return self.slots(OBJECT, (fields.get(slot, NULL) for slot in range(1, max(fields) + 1)))


def number(value):
    """Word of a number, which must fit into 28 bits."""
    assert 0 <= value < 1 << 28
    return INT | value


def package(info, scripts, files, depends=()):
    """Bytes of a package. `files`: contents and mode by path; all belong to root, and have no time.
    `depends`: names of packages.
    """
    database = Database()

    def owned(mode):
        return database.object({1: number(mode), 2: database.blob("root"), 3: database.blob("root")})

    def described(path):
        data, mode = files[path]
        name, digest = path.rsplit("/", 1)[-1], hashlib.sha256(data).digest()
        entry = {1: database.blob(name), 2: owned(mode), 3: number(len(data)), 4: number(0)}
        entry[5] = database.blob(digest)
        return database.object(entry)

    def folder(name):
        listed = database.slots(ARRAY, map(described, folders[name]))
        return database.object({1: database.blob(name), 2: owned(0o755), 3: listed})

    folders = by_folder(files)
    size = sum(len(data) for data, _ in files.values())
    fields = {INFO[key]: database.blob(value) for key, value in info.items()}
    fields |= {HASHES: database.blob(bytes(20)), INSTALLED_SIZE: number(size)}
    # A reader may search the list: apk sorts it, too.
    needed = (database.object({1: database.blob(name)}) for name in sorted(depends))
    fields[DEPENDS] = database.slots(ARRAY, needed)
    root = {
        1: database.object(fields),
        2: database.slots(ARRAY, map(folder, folders)),
        3: database.object({SCRIPTS[key]: database.blob(text) for key, text in scripts.items()}),
    }
    struct.pack_into("<I", database.bytes, 4, database.object(root))
    # Identity of the package: a hash of everything, with zeros in place of the hash.
    place = fields[HASHES] % (1 << 28) + 1
    database.bytes[place : place + 20] = hashlib.sha256(database.bytes).digest()[:20]

    plain = struct.pack("<II", 0x2E424441, SCHEMA_PACKAGE) + block(BLOCK_ADB, bytes(database.bytes))
    for path_index, paths in enumerate(folders.values(), 1):
        for file_index, path in enumerate(paths, 1):
            if files[path][0]:
                plain += block(BLOCK_DATA, struct.pack("<II", path_index, file_index) + files[path][0])
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"ADBd" + deflater.compress(plain) + deflater.flush()


def by_folder(files):
    """Paths in each folder and in all its parents; both sorted."""
    folders = {"": []}
    for path in sorted(files):
        parts = path.split("/")[:-1]
        for depth in range(len(parts)):
            folders.setdefault("/".join(parts[: depth + 1]), [])
        folders["/".join(parts)].append(path)
    return dict(sorted(folders.items()))


def block(kind, data):
    """A block with its length, padded to eight bytes."""
    return struct.pack("<I", kind << 30 | len(data) + 4) + data + bytes(-(len(data) + 4) % 8)


def contents(data):
    """Mode and contents of each file of a package by path, checked against its database, as an installer
    would write them.
    """
    database, bodies = blocks(data)
    paths = read_paths(database)
    found = {}
    for body in bodies:
        path, mode, size, digest = paths.pop(struct.unpack_from("<II", body))
        assert len(body) - 8 == size and hashlib.sha256(body[8:]).digest() == digest, path
        found[path] = (mode, body[8:])
    assert not paths, paths
    return found


def script(data, name):
    """Text of a script of a package."""
    database, _ = blocks(data)
    reader = Reader(database)
    return reader.blob(reader.slots(reader.root[3])[SCRIPTS[name]])


def dependencies(data):
    """Names of the packages that a package depends on."""
    database, _ = blocks(data)
    reader = Reader(database)
    info = reader.slots(reader.root[1])
    listed = reader.slots(info[DEPENDS])[1:] if len(info) > DEPENDS else []
    return [reader.blob(reader.slots(dependency)[1]).decode() for dependency in listed]


def blocks(data):
    """The database of a package, and the blocks of its files."""
    assert data[:4] == b"ADBd"
    plain = zlib.decompress(data[4:], -15)
    assert plain[:8] == struct.pack("<II", 0x2E424441, SCHEMA_PACKAGE)
    found, offset = [], 8
    while offset < len(plain):
        (word,) = struct.unpack_from("<I", plain, offset)
        length = word & 0x3FFFFFFF
        found.append((word >> 30, plain[offset + 4 : offset + length]))
        offset += length + -length % 8
    assert [kind for kind, _ in found] == [BLOCK_ADB] + [BLOCK_DATA] * (len(found) - 1)
    return found[0][1], [body for _, body in found[1:]]


class Reader:
    """Values of a database."""

    def __init__(self, database):
        self.bytes = database
        self.root = self.slots(struct.unpack_from("<I", database, 4)[0])

    def slots(self, value):
        offset = value & 0xFFFFFFF
        count = struct.unpack_from("<I", self.bytes, offset)[0] if value else 1
        return [count, *struct.unpack_from(f"<{count - 1}I", self.bytes, offset + 4)]

    def blob(self, value):
        offset, width = value & 0xFFFFFFF, {0x8: 1, 0x9: 2, 0xA: 4}.get(value >> 28, 0)
        length = int.from_bytes(self.bytes[offset : offset + width], "little")
        return self.bytes[offset + width : offset + width + length] if value else b""


def read_paths(database):
    """Path, mode, size and hash of each file in the database, by the numbers of its data block."""
    reader = Reader(database)
    slots, blob = reader.slots, reader.blob
    files = {}
    for path_index, folder in enumerate(slots(reader.root[2])[1:], 1):
        folder = slots(folder) + [NULL]
        for file_index, file in enumerate(slots(folder[3])[1:], 1):
            _, name, acl, size, _, digest = slots(file)
            path = "/".join(filter(None, (blob(folder[1]).decode(), blob(name).decode())))
            files[path_index, file_index] = (path, slots(acl)[1] & 0xFFFFFFF, size & 0xFFFFFFF, blob(digest))
    return files
