import base64
import hashlib
import hmac
import time

from stream.ice.servers import IceSettings, as_json, as_links, ice_servers

STUN = "stun:stun.example.org"
TURN = "turn:turn.example.org:3478"


def test_there_are_none_but_those_that_are_set() -> None:
    assert ice_servers(IceSettings()) == []
    assert as_json([]) == []
    assert as_links([]) == []


def test_a_fixed_user_is_told_as_it_is() -> None:
    settings = IceSettings(stun=(STUN,), turn=(TURN,), turn_username="me", turn_password='a"b')
    servers = ice_servers(settings)

    assert as_json(servers) == [
        {"urls": [STUN]},
        {"urls": [TURN], "username": "me", "credential": 'a"b'},
    ]
    # As RFC 9725 shows it in section 4.6.
    assert as_links(servers) == [
        f'<{STUN}>; rel="ice-server"',
        f'<{TURN}>; rel="ice-server"; username="me"; credential="a\\"b"; '
        'credential-type="password"',
    ]


def test_of_a_shared_secret_credentials_are_made_that_end() -> None:
    settings = IceSettings(turn=(TURN,), turn_secret="north", turn_credential_s=600)
    (server,) = as_json(ice_servers(settings))

    ends, _, user = server["username"].partition(":")
    assert 590 < int(ends) - time.time() <= 600
    assert user
    expected = hmac.new(b"north", server["username"].encode(), hashlib.sha1).digest()
    assert server["credential"] == base64.b64encode(expected).decode()


def test_no_header_is_broken_by_a_name() -> None:
    settings = IceSettings(turn=(TURN,), turn_username="me\r\nSet-Cookie: a", turn_password="p")

    assert not any("\n" in link or "\r" in link for link in as_links(ice_servers(settings)))
