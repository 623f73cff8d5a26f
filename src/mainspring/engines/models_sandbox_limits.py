"""What a process that runs somebody's model takes away from itself before it reads the model.

Each measure is tried, and what took effect is named, so that nobody believes in a wall that is not there:

- `limits`: memory, processes, open files, size of files, processor time (`setrlimit`)
- `no network`: a network namespace of its own without interfaces, or Landlock's denial of TCP
- `own processes`: a process namespace: it sees and signals none outside, and what it starts ends with it
- `no system sockets`: `/run` is empty, so no local database, container engine or bus is behind a socket there
- `files`: Landlock, which lets it read the libraries and the model and write into its scratch folder, and nothing else
- `own user`: where the server runs as root, the model does not

Landlock (Linux 5.13) and user namespaces need no rights. The system calls are made through ctypes, for Python 3.11
has no name for them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
import sys
from pathlib import Path

__all__ = ["confine_files", "leave_namespaces", "limit_resources"]

_NEWNS, _NEWUSER, _NEWPID, _NEWNET, _NEWIPC = 0x20000, 0x10000000, 0x20000000, 0x40000000, 0x08000000
_NO_NEW_PRIVS, _PDEATHSIG, _KEEPCAPS = 38, 1, 8
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # one number on every architecture
_PRIVATE, _RECURSIVE = 1 << 18, 1 << 14
_NOBODY = 65534
_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION = 0x20080522

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ALL = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
_ALL_FROM_5 = (1 << 16) - 1
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
_SYSTEM_READ = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd",
    "/dev/random", "/dev/urandom", "/proc/cpuinfo", "/proc/meminfo", "/proc/self", "/proc/filesystems",
    "/sys/devices/system", "/opt",
)  # fmt: skip


def limit_resources(*, memory: int, processes: int, open_files: int, file_bytes: int, cpu_seconds: int) -> list[str]:
    """Set hard limits; a limit that this system does not know is left out."""
    try:
        import resource
    except ImportError:
        return []
    wanted = {
        "RLIMIT_AS": memory,
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": cpu_seconds,
        "RLIMIT_FSIZE": file_bytes,
        "RLIMIT_NOFILE": open_files,
        "RLIMIT_NPROC": processes,
    }
    for name, value in wanted.items():
        which = getattr(resource, name, None)
        if which is None:
            continue
        _, hard = resource.getrlimit(which)
        top = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(which, (top, top))
    return ["limits"]


def leave_namespaces() -> list[str]:
    """Move into namespaces of our own; what is forked from here on has its own process numbers. Linux only."""
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    for flags, gained in (
        (_NEWUSER | _NEWNET | _NEWPID | _NEWNS | _NEWIPC, ["no network", "own processes"]),
        (_NEWUSER | _NEWNET, ["no network"]),
    ):
        if uid == 0:
            done = _map_as_root(libc, flags)
        else:
            done = libc.unshare(flags) == 0
            if done:
                _map_ids(f"{uid} {uid} 1", f"{gid} {gid} 1")
        if done:
            return [*gained, *(_empty_run(libc) if flags & _NEWNS else [])]
    return []


def _map_as_root(libc: ctypes.CDLL, flags: int) -> bool:
    """As root, keep root's number and one of nobody's in the new namespace; a helper outside of it writes the maps."""
    ours, theirs = os.pipe()
    parent = os.getpid()
    helper = os.fork()
    if helper == 0:
        code = 1
        with contextlib.suppress(OSError):
            os.close(theirs)
            if os.read(ours, 1) == b"+":
                for name in ("uid_map", "gid_map"):
                    Path(f"/proc/{parent}/{name}").write_text(f"0 0 1\n{_NOBODY} {_NOBODY} 1\n", encoding="ascii")
                code = 0
        os._exit(code)
    os.close(ours)
    done = libc.unshare(flags) == 0
    os.write(theirs, b"+" if done else b"-")
    os.close(theirs)
    _, status = os.waitpid(helper, 0)
    return done and status == 0


def _map_ids(uids: str, gids: str) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(uids, encoding="ascii")
        Path("/proc/self/gid_map").write_text(gids, encoding="ascii")


def _empty_run(libc: ctypes.CDLL) -> list[str]:
    """Put an empty file system over /run, in this process's own view."""
    if libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None) != 0:
        return []
    place = os.fsencode(os.path.realpath("/run"))
    return ["no system sockets"] if libc.mount(b"tmpfs", place, b"tmpfs", 0, b"size=4k,mode=755") == 0 else []


def confine_files(*, readable: list[str], writable: list[str]) -> list[str]:
    """Let this process read and write only what is named, for ever; and stop being root.

    Nothing on systems without Landlock. The system's libraries and a few files about the machine stay readable.
    """
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PDEATHSIG, 9, 0, 0, 0)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        return []
    everything = _ALL.get(version, _ALL_FROM_5 if version >= 5 else _ALL[3])
    network = 3 if version >= 4 else 0
    scoped = 3 if version >= 6 else 0
    attributes = struct.pack("=QQQ", everything, network, scoped)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if rules < 0:
        libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
        return []
    for path in [*_SYSTEM_READ, *readable]:
        _allow(libc, rules, path, _READ)
    for path in writable:
        _allow(libc, rules, path, everything)
    _allow(libc, rules, "/dev/null", _READ_FILE | _WRITE_FILE)
    gained = ["own user"] if os.getuid() == 0 and _become_nobody(libc) else []
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.syscall(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0)) != 0:
        return gained
    os.close(rules)
    return [*gained, "files", *(["no network"] if network else [])]


def _allow(libc: ctypes.CDLL, rules: int, path: str, access: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 -- of a path as it is, without another object
            access &= _OF_FILES
        rule = struct.pack("=Qi", access, opened)
        libc.syscall(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(1), rule, ctypes.c_uint32(0))
    finally:
        os.close(opened)


def _become_nobody(libc: ctypes.CDLL) -> bool:
    """Stop being root, where a user namespace knows nobody's number; keep only the right to read what root may read.

    That right is what Landlock then bounds: the interpreter may well be installed in root's home.
    """
    libc.prctl(_KEEPCAPS, 1, 0, 0, 0)
    try:
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        return False
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    bit = 1 << _DAC_READ_SEARCH
    libc.capset(header, struct.pack("=6I", bit, bit, 0, 0, 0, 0))
    return True
