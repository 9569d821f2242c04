"""The system calls that no sandboxed program gets, as a classic BPF program for seccomp.

A list of what is refused, not of what is allowed: test suites and interpreters of any language must run. It closes
what namespaces and the dropped uid leave open: the kernel's larger attack surfaces, and memory that no limit counts
(System V memory, memfd).
"""

import errno
import platform
import socket
import struct

# name -> number on x86_64, on aarch64 (None: does not exist there); the kernel's unistd headers
REFUSED: dict[str, tuple[int, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_secret": (447, 447),
}
# As if the kernel were older: C libraries and runtimes then take another way by themselves.
ABSENT: dict[str, tuple[int, int | None]] = {
    "clone3": (435, 435),  # its flags lie in memory, where no filter can read them
    "memfd_create": (319, 279),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
CLONE, _SOCKET, _SOCKETPAIR, _IOCTL = (56, 220), (41, 198), (53, 199), (16, 29)
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_NEW_NAMESPACES = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data; low halves, little-endian


def machine_is_known() -> bool:
    """Whether there is a filter for this processor."""
    return platform.machine() in AUDIT_ARCH


def seccomp_filter(unix_sockets: bool, machine: str | None = None) -> bytes:
    """The compiled filter, struct sock_filter by struct sock_filter.

    Sockets: pairs of AF_UNIX always (event loops need them), AF_UNIX by name if `unix_sockets`, no other family.
    A call by another architecture's convention (32-bit, x32) kills the process.
    """
    machine = machine or platform.machine()
    column = list(AUDIT_ARCH).index(machine)
    code = [
        _op(_LOAD, _ARCH_AT),
        _op(_EQUAL, AUDIT_ARCH[machine], 1, 0),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        code += [_op(_AT_LEAST, _X32_BIT, 0, 1), _op(_RETURN, _KILL)]
    for table, number in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for call in table.values():
            if (nr := call[column]) is not None:
                code += [_op(_EQUAL, nr, 0, 1), _op(_RETURN, _ERRNO | number)]
    code += _on_argument(CLONE[column], 0, [(_ANY_BIT, _NEW_NAMESPACES)], errno.EPERM)
    code += _on_argument(_IOCTL[column], 1, [(_EQUAL, _TIOCSTI), (_EQUAL, _TIOCLINUX)], errno.EPERM)
    sockets = [_SOCKETPAIR, _SOCKET] if unix_sockets else [_SOCKETPAIR]
    for call in sockets:
        code += _only_argument(call[column], 0, socket.AF_UNIX, errno.EPERM)
    code += [_op(_EQUAL, _SOCKET[column], 0, 1), _op(_RETURN, _ERRNO | errno.EPERM), _op(_RETURN, _ALLOW)]
    return b"".join(code)


def _op(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One struct sock_filter; jumps are relative to the next instruction."""
    return struct.pack("<HBBI", code, if_true, if_false, value)


def _on_argument(nr: int, index: int, tests: list[tuple[int, int]], number: int) -> list[bytes]:
    """Refuse call `nr` when any test of its argument holds, allow it otherwise."""
    body = [_op(_LOAD, _ARGUMENTS_AT + 8 * index)]
    for test, value in tests:
        body += [_op(test, value, 0, 1), _op(_RETURN, _ERRNO | number)]
    body.append(_op(_RETURN, _ALLOW))
    return [_op(_EQUAL, nr, 0, len(body)), *body]


def _only_argument(nr: int, index: int, value: int, number: int) -> list[bytes]:
    """Allow call `nr` when its argument is `value`, refuse it otherwise."""
    body = [
        _op(_LOAD, _ARGUMENTS_AT + 8 * index),
        _op(_EQUAL, value, 0, 1),
        _op(_RETURN, _ALLOW),
        _op(_RETURN, _ERRNO | number),
    ]
    return [_op(_EQUAL, nr, 0, len(body)), *body]
