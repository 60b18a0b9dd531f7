import base64
import json

import pytest

from web.security.ticket import LIFETIME_S, Tickets

PATH = "/whep/yard"


def test_a_ticket_is_valid_at_its_path_until_it_expires() -> None:
    now = [1000.0]
    issuer, checker = (Tickets(lambda: "secret", lambda: now[0]) for _ in range(2))
    ticket = issuer.issue("viewer", PATH)
    assert ticket

    assert checker.role(ticket, PATH) == "viewer"
    assert checker.role(ticket, "/whep/door") is None
    now[0] += LIFETIME_S + 31
    assert checker.role(ticket, PATH) is None


def test_a_ticket_may_come_from_a_clock_that_is_a_little_ahead() -> None:
    ticket = Tickets(lambda: "secret", lambda: 1020.0).issue("viewer", PATH)
    assert ticket

    assert Tickets(lambda: "secret", lambda: 1000.0).role(ticket, PATH) == "viewer"
    assert Tickets(lambda: "secret", lambda: 900.0).role(ticket, PATH) is None


def test_no_ticket_without_the_secret() -> None:
    assert Tickets(lambda: None).issue("viewer", PATH) is None
    ticket = Tickets(lambda: "secret").issue("viewer", PATH)
    assert ticket
    assert Tickets(lambda: None).role(ticket, PATH) is None
    assert Tickets(lambda: "another").role(ticket, PATH) is None


@pytest.mark.parametrize("text", ["", ".", "a.b", "é.é", "e30.e30", "x" * 5000])
def test_a_malformed_ticket_is_not_valid(text: str) -> None:
    assert Tickets(lambda: "secret").role(text, PATH) is None


def test_a_ticket_cannot_be_changed() -> None:
    tickets = Tickets(lambda: "secret")
    ticket = tickets.issue("viewer", PATH)
    assert ticket
    body, _, signature = ticket.partition(".")
    issued = json.loads(base64.urlsafe_b64decode(body + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**issued, "role": "admin"}).encode())

    assert tickets.role(f"{forged.rstrip(b'=').decode()}.{signature}", PATH) is None
