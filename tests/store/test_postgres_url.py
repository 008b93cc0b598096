import pytest

from zato_lite.errors import ConfigError
from zato_lite.store.postgres_url import has_password, parse, shown

PLAIN = "postgresql://ann@db.example:6432/jobs?sslmode=verify-full&sslrootcert=%2Fca.pem"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://ann:s%40cret@db:5432/x", "postgresql://ann@db:5432/x"),
        (
            "postgres://ann:x@a,b:6432/x?sslmode=require",
            "postgresql://ann@a,b:6432/x?sslmode=require",
        ),
        ("postgresql://db/x?password=s&user=ann", "postgresql://db/x?user=ann"),
        ("postgresql://[::1]/x?sslpassword=s", "postgresql://[::1]/x"),
        ("postgresql://[broken/x?password=s", "postgresql://***"),
    ],
)
def test_secrets_are_not_shown(url: str, expected: str) -> None:
    assert shown(url) == expected
    assert has_password(url)


@pytest.mark.parametrize("url", [PLAIN, "sqlite:///data/zato-lite.db", "postgresql:///x"])
def test_a_url_without_secrets_is_shown_as_it_is(url: str) -> None:
    assert shown(url) == url
    assert not has_password(url)


@pytest.mark.parametrize("letter", "#/?")
def test_a_password_that_cuts_the_url_is_refused_and_not_shown(letter: str) -> None:
    url = f"postgresql://ann:ge{letter}heim@db/x"

    with pytest.raises(ConfigError, match="percent-encode") as caught:
        parse(url)

    assert "heim" not in str(caught.value)
    assert shown(url) == "postgresql://***"
    assert has_password(url)


def test_libpq_gets_the_url_without_its_password() -> None:
    found = parse("postgresql://ann:s%40cret@db/x?sslmode=require&options=-csearch_path%3Djobs")

    assert found.url == "postgresql://ann@db/x?sslmode=require"
    assert found.parameters == {"password": "s@cret", "options": "-csearch_path=jobs"}
    assert found.shown == "postgresql://ann@db/x?sslmode=require&options=-csearch_path%3Djobs"
    assert found.without_secrets("no s@cret, no s%40cret") == "no ***, no ***"


def test_a_password_of_the_settings_is_used_unless_the_url_has_one() -> None:
    assert parse("postgresql://ann@db/x", "mine").parameters == {"password": "mine"}
    assert parse("postgresql://ann:o+n@db/x", "mine").parameters == {"password": "o+n"}
    assert parse("postgresql://ann@db/x").parameters == {}


def test_prepared_statements_are_switched_off_for_a_pooler() -> None:
    assert parse(f"{PLAIN}&prepare_threshold=none").prepare_threshold is None
    assert parse(f"{PLAIN}&prepare_threshold=7").prepare_threshold == 7
    assert "prepare_threshold" not in parse(f"{PLAIN}&prepare_threshold=7").url
    with pytest.raises(ConfigError, match="prepare_threshold=-1; use a number or none"):
        parse(f"{PLAIN}&prepare_threshold=-1")


def test_a_wrong_url_is_refused_without_its_secrets() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("postgresql://ann:geheim@[broken/x")

    assert "geheim" not in str(caught.value)
