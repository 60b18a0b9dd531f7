"""Tests of what a host is."""

import pytest

from stream.settings import is_address, is_loopback


@pytest.mark.parametrize(
    ("host", "loopback", "address"),
    [
        ("127.0.0.1", True, True),
        ("127.8.9.10", True, True),
        ("::1", True, True),
        ("localhost", True, False),
        ("camera.localhost", True, False),
        ("notlocalhost", False, False),
        ("localhost.example.org", False, False),
        ("0.0.0.0", False, True),
        ("192.0.2.7", False, True),
        ("2001:db8::1", False, True),
        ("example.org", False, False),
        ("", False, False),
    ],
)
def test_a_name_or_address_is_told_apart(host: str, loopback: bool, address: bool) -> None:
    assert is_loopback(host) == loopback
    assert is_address(host) == address
