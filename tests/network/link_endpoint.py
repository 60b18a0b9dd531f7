"""An end of a line: `unshare -n python -m tests.network.within SOCKET ADDRESS COMMAND ...`.

In a network namespace that has nothing but a loopback, makes a network interface with an address
(TUN, see the kernel's Documentation/networking/tuntap.rst), hands what goes over it to whoever
listens on a Unix socket, and becomes the command.
"""

import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

PREFIX = 24
"""Bits of the network that both ends are in."""
MTU = 1400

_NAME = b"line"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFMTU = 0x8914, 0x8916, 0x891C, 0x8922
_IFF_UP_RUNNING = 0x41
_FLAGS, _INTEGER = "16sH22x", "16si20x"
"""Of `struct ifreq` (netdevice(7)); an address in it is a `sockaddr_in`."""


def open_interface(address: str) -> int:
    """Make the interface, and bring it and the loopback up; return its descriptor.

    Raises:
        OSError: If that is not allowed here.
    """
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack(_FLAGS, _NAME, _IFF_TUN | _IFF_NO_PI))
    netmask = socket.inet_ntoa(struct.pack("!L", 0xFFFFFFFF << 32 - PREFIX & 0xFFFFFFFF))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SIOCSIFADDR, _request(address))
        fcntl.ioctl(asking, _SIOCSIFNETMASK, _request(netmask))
        fcntl.ioctl(asking, _SIOCSIFMTU, struct.pack(_INTEGER, _NAME, MTU))
        for name in (_NAME, b"lo"):
            fcntl.ioctl(asking, _SIOCSIFFLAGS, struct.pack(_FLAGS, name, _IFF_UP_RUNNING))
    return tun


def _request(address: str) -> bytes:
    return struct.pack("16sHH4s16x", _NAME, socket.AF_INET, 0, socket.inet_aton(address))


def _hand_over(tun: int, path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.connect(path)
        socket.send_fds(listener, [b"line"], [tun])
        # Once it is answered, what goes over the interface is carried.
        listener.recv(1)


def main() -> None:
    """Become the command, at an end of the line."""
    path, address, *command = sys.argv[1:]
    tun = open_interface(address)
    _hand_over(tun, str(Path(path)))
    os.close(tun)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
