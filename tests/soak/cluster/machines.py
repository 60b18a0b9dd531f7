"""Machines: network namespaces, each with one link to clients and one to the database."""

import contextlib
import subprocess
from collections.abc import Iterator

CLIENTS, DATABASE = 79, 78
"""Second byte of the addresses of the two links."""


class Machine:
    """A network namespace whose link to the database can be cut."""

    def __init__(self, number: int, holder: int) -> None:
        """Wrap the namespace of a process.

        Args:
            number: Number of the machine, from 1.
            holder: Id of a process in the namespace.
        """
        self.number, self._holder = number, holder
        self.address = f"10.{CLIENTS}.{number}.2"
        """Address for clients."""
        self.database_address = f"10.{DATABASE}.{number}.1"
        """Address of the database, as this machine reaches it."""

    @property
    def prefix(self) -> tuple[str, ...]:
        """A command that runs the command that follows it on this machine."""
        return ("nsenter", f"--net=/proc/{self._holder}/ns/net")

    def connect(self) -> None:
        """Create both links, and bring the loopback up."""
        self._run("ip", "link", "set", "lo", "up")
        for kind in (CLIENTS, DATABASE):
            name, subnet = f"m{self.number}-{kind}", f"10.{kind}.{self.number}"
            _ip("link", "add", name, "type", "veth", "peer", "name", "far", "netns", self._holder)
            self._run("ip", "link", "set", "far", "name", f"to-{kind}")
            _ip("address", "add", f"{subnet}.1/30", "dev", name)
            _ip("link", "set", name, "up")
            self._run("ip", "address", "add", f"{subnet}.2/30", "dev", f"to-{kind}")
            self._run("ip", "link", "set", f"to-{kind}", "up")
            # Machines reach each other by the hub.
            if kind == CLIENTS:
                self._run("ip", "route", "add", "default", "via", f"{subnet}.1")

    def cut_database(self) -> None:
        """Drop all packets between this machine and the database, without a word to either."""
        self._run("ip", "link", "set", f"to-{DATABASE}", "down")

    def mend_database(self) -> None:
        """Let packets pass again."""
        self._run("ip", "link", "set", f"to-{DATABASE}", "up")

    def cut_clients(self) -> None:
        """Drop all packets between this machine and clients and other machines."""
        self._run("ip", "link", "set", f"to-{CLIENTS}", "down")

    def mend_clients(self) -> None:
        """Let packets pass again."""
        self._run("ip", "link", "set", f"to-{CLIENTS}", "up")
        # The kernel has removed it with the link.
        hub = f"10.{CLIENTS}.{self.number}.1"
        self._run("ip", "route", "replace", "default", "via", hub)

    def cut_from_server(self) -> None:
        """Drop what this machine sends to the hub itself, not what that passes on to others."""
        self._run("ip", "rule", "add", "to", f"10.{CLIENTS}.{self.number}.1", "blackhole")

    def mend_to_server(self) -> None:
        """Let it pass again."""
        self._run("ip", "rule", "delete", "to", f"10.{CLIENTS}.{self.number}.1", "blackhole")

    def _run(self, *command: str) -> None:
        subprocess.run([*self.prefix, *command], check=True)


@contextlib.contextmanager
def machines(count: int) -> Iterator[list[Machine]]:
    """Create machines around this process's network namespace, which must be one of its own.

    Raises:
        CalledProcessError: If the process lacks the permission.
    """
    _ip("link", "set", "lo", "up")
    with open("/proc/sys/net/ipv4/ip_forward", "w") as forward:  # noqa: PTH123
        forward.write("1")
    holders: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(count):
            command = ["unshare", "--net", "sh", "-c", "echo; exec cat"]
            holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            holders.append(holder)
            assert holder.stdout
            holder.stdout.readline()
        found = [Machine(number, holder.pid) for number, holder in enumerate(holders, 1)]
        for machine in found:
            machine.connect()
        yield found
    finally:
        for holder in holders:
            holder.communicate()


def _ip(*arguments: object) -> None:
    subprocess.run(["ip", *map(str, arguments)], check=True)
