"""The script that creates the database's role, by a real PostgreSQL."""

import secrets
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.deploy.manifests import DEPLOY, SECRETS
from tests.support.postgres import PostgresServer


def test_it_creates_an_ordinary_role_with_a_database_of_its_own(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    password = f"it's {secrets.token_hex(8)}"
    (tmp_path / "database.password").write_text(password + "\n", encoding="utf-8")
    script = (DEPLOY / "database.sql").read_text(encoding="utf-8")
    # The server of the tests has a role of this name.
    script = script.replace(SECRETS, f"{tmp_path}/").replace("sightline", "deployed")
    url = postgres.admin_url
    try:
        done = subprocess.run(
            ["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", url],
            input=script,
            capture_output=True,
            text=True,
        )
        assert not done.returncode, done.stderr

        with psycopg.connect(url, dbname="deployed", user="deployed", password=password) as own:
            own.execute("CREATE TABLE captions (text text)")
            row = own.execute("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = user")
            assert row.fetchone() == (False, False)
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(postgres.url("deployed"))
    finally:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("DROP DATABASE IF EXISTS deployed")
            admin.execute("DROP ROLE IF EXISTS deployed")
