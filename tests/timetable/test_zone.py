import pytest

from zato_lite.errors import BadInputError
from zato_lite.timetable.job import SECOND
from zato_lite.timetable.zone import (
    check_zone,
    day_begins,
    day_of,
    parse_moment,
    to_datetime,
    to_text,
)


@pytest.mark.parametrize(
    ("text", "timezone", "utc"),
    [
        ("2027-07-29 11:35:49", None, "2027-07-29 11:35:49"),
        ("2027-07-29T11:35:49", "Europe/Warsaw", "2027-07-29 09:35:49"),
        ("2027-07-29T11:35:49Z", "Europe/Warsaw", "2027-07-29 11:35:49"),
        ("2027-07-29T11:35:49+02:00", None, "2027-07-29 09:35:49"),
        ("2027-07-29T11:35:49.250", None, "2027-07-29 11:35:49.250000"),
        ("20270729T113549", None, "2027-07-29 11:35:49"),
        ("2027-07-29", "America/New_York", "2027-07-29 04:00:00"),
        (" 2027-07-29 11:35 ", None, "2027-07-29 11:35:00"),
        ("2027-03-28 02:30", "Europe/Warsaw", "2027-03-28 01:00:00"),
        ("2027-10-31 02:30", "Europe/Warsaw", "2027-10-31 00:30:00"),
        ("2011-12-30 10:00", "Pacific/Apia", "2011-12-30 10:00:00"),
    ],
)
def test_a_moment_is_parsed(text: str, timezone: str | None, utc: str) -> None:
    assert to_text(parse_moment(text, timezone)) == f"{utc} UTC"


def test_a_moment_in_a_gap_or_a_fold_follows_the_policy() -> None:
    zone = "Europe/Warsaw"

    shifted = parse_moment("2027-03-28 02:30", zone, gap="shift")
    last = parse_moment("2027-10-31 02:30", zone, fold="last")

    assert to_text(shifted, zone) == "2027-03-28 03:30:00 Europe/Warsaw"
    assert last - parse_moment("2027-10-31 02:30", zone) == 3_600 * SECOND
    with pytest.raises(BadInputError, match="does not exist in Europe/Warsaw"):
        parse_moment("2027-03-28 02:30", zone, gap="skip")


@pytest.mark.parametrize("text", ["", "July 29 2027", "2027-13-01", "now", "1e9", "2027-07-29T"])
def test_an_invalid_moment_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="is not a valid date and time"):
        parse_moment(text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Europe/Warsw", "did you mean Europe/Warsaw"),
        ("europe/warsaw", "did you mean Europe/Warsaw"),
        ("New York", r"did you mean America/New_York\?"),
        ("EUROPE/PARIS", r"did you mean Europe/Paris\?"),
        ("Z", "Unknown time zone `Z`; use one such as Europe/Warsaw"),
        ("+01:00", "use one such as Europe/Warsaw"),
        ("", "Unknown time zone"),
        ("../../etc/passwd", "Unknown time zone"),
        ("/etc/localtime", "Unknown time zone"),
        ("right/UTC", "Unknown time zone"),
        ("localtime", "Unknown time zone"),
        ("Europe", "Unknown time zone"),
        ("a\0b", "Unknown time zone"),
    ],
)
def test_an_unknown_zone_is_refused_with_similar_names(name: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words) as caught:
        check_zone(name)

    assert [error.field for error in caught.value.errors] == ["timezone"]


@pytest.mark.parametrize("name", ["UTC", "Europe/Warsaw", "America/Argentina/Ushuaia"])
def test_valid_zones_are_accepted(name: str) -> None:
    check_zone(name)

    assert to_text(0, name).endswith(name)


def test_a_day_begins_at_midnight_of_its_zone() -> None:
    zone = "America/Sao_Paulo"
    noon = parse_moment("2018-11-04 12:00", zone)

    begins = day_begins(day_of(noon, zone), zone)

    assert to_datetime(begins, zone).isoformat() == "2018-11-04T01:00:00-02:00"
    assert day_of(begins - 1, zone) == day_of(noon, zone) - 1
