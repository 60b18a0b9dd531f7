from pathlib import Path

import pytest
from pydantic import ValidationError

from stream.cluster.settings import ClusterSettings

DATABASE = "postgresql://sightline:sesame@db.example/captions"


def test_a_server_is_on_its_own_by_default() -> None:
    assert ClusterSettings().database_url is None


def test_the_database_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "database"
    file.write_text(f"{DATABASE}\n")

    assert ClusterSettings(database_file=file).database_url == DATABASE


def test_the_servers_url_may_have_a_prefix() -> None:
    values = {"database": DATABASE, "url": "https://a.example:4200/captions/"}

    assert ClusterSettings.model_validate(values).url == "https://a.example:4200/captions"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"database": "mysql://db.example/captions"}, "such as postgresql://"),
        ({"database": DATABASE, "database_file": __file__}, "not both"),
        ({"url": "https://a.example"}, "url needs a database"),
        ({"database": DATABASE, "url": "a.example"}, "must be the http or https URL"),
        ({"database": DATABASE, "url": "https://u:p@a.example"}, "must be the http or https URL"),
        ({"database": DATABASE, "url": "https://a.example?b"}, "must be the http or https URL"),
        ({"database": DATABASE, "url": "https://a.example:x"}, "must be the http or https URL"),
        ({"database": DATABASE, "url": "https://a.example/a b"}, "a path may contain"),
    ],
)
def test_wrong_settings_are_refused_without_the_password(
    values: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        ClusterSettings.model_validate(values)

    assert "sesame" not in str(caught.value)
