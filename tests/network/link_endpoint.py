"""Run a command at an endpoint of a link.

`unshare -n python -m tests.network.link_endpoint SOCKET ADDRESS COMMAND ...`

In a network namespace with only a loopback interface, creates a TUN interface with an address (see
the kernel's Documentation/networking/tuntap.rst), passes its descriptor over a Unix socket to the
process that forwards its packets, and replaces itself by the command.
"""

import fcntl
import os
import socket
import struct
import sys

PREFIX = 24
"""Prefix length of the network that both endpoints are in."""
MTU = 1400
"""Maximum packet size, in bytes."""

_NAME = b"link"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000
_SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK, _SIOCSIFMTU = 0x8914, 0x8916, 0x891C, 0x8922
_IFF_UP_RUNNING = 0x41
_FLAGS, _INTEGER = "16sH22x", "16si20x"
"""Formats of `struct ifreq` (netdevice(7)), which otherwise contains a `sockaddr_in`."""


def open_interface(address: str) -> int:
    """Create the interface, and bring it and the loopback up; return its descriptor.

    Raises:
        OSError: If the process lacks the permission.
    """
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack(_FLAGS, _NAME, _IFF_TUN | _IFF_NO_PI))
    netmask = socket.inet_ntoa(struct.pack("!L", 0xFFFFFFFF << 32 - PREFIX & 0xFFFFFFFF))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFADDR, _address_request(address))
        fcntl.ioctl(control, _SIOCSIFNETMASK, _address_request(netmask))
        fcntl.ioctl(control, _SIOCSIFMTU, struct.pack(_INTEGER, _NAME, MTU))
        for name in (_NAME, b"lo"):
            fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_FLAGS, name, _IFF_UP_RUNNING))
    return tun


def _address_request(address: str) -> bytes:
    return struct.pack("16sHH4s16x", _NAME, socket.AF_INET, 0, socket.inet_aton(address))


def _pass_descriptor(tun: int, path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"link"], [tun])
        # Wait for the acknowledgement, so that the other process holds the descriptor.
        connection.recv(1)


def main() -> None:
    """Run the command at an endpoint of the link."""
    path, address, *command = sys.argv[1:]
    tun = open_interface(address)
    _pass_descriptor(tun, path)
    os.close(tun)
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
