from typing import Any

import pytest

from zato_lite.builtin.imports import crontab
from zato_lite.builtin.imports.entry import Entry, Options
from zato_lite.timetable.zone import parse_moment

NOW = parse_moment("2027-01-15 08:00:00", None)
SYSTEM = Options("ops.run", timezone="Europe/Warsaw", with_user=True, now=NOW)
USER = SYSTEM._replace(with_user=False)


def _entry(line: str, options: Options = USER) -> Entry:
    [*_, found] = crontab.read(line, options)
    return found


def _fields(line: str, options: Options = USER) -> dict[str, Any]:
    found = _entry(line, options)
    assert found.fields is not None, found.differences
    return found.fields


@pytest.mark.parametrize("blank", [" ", "\t", "\t\t", " \t "])
def test_blanks_and_tabs_separate_the_fields_the_user_and_the_command(blank: str) -> None:
    line = "0|4|*|*|*|root|test -x /usr/sbin/cron-apt && cron-apt".replace("|", blank)

    fields = _fields(line, SYSTEM)

    assert fields["cron_definition"] == "0 4 * * *"
    assert fields["extra"] == {"user": "root", "command": "test -x /usr/sbin/cron-apt && cron-apt"}


def test_a_command_of_a_single_word_has_a_user_before_it() -> None:
    fields = _fields("*/5\t*\t*\t*\t*\troot\t/usr/libexec/atrun", SYSTEM)

    assert fields["extra"] == {"user": "root", "command": "/usr/libexec/atrun"}
    assert _entry("*/5 * * * * /usr/libexec/atrun", SYSTEM).fields is None


@pytest.mark.parametrize("control", ["\t", "\x1b", "\u202e", "\x0b", "\x85", "\u2028"])
def test_a_name_that_is_made_up_is_made_fit(control: str) -> None:
    fields = _fields(f"0 4 * * * /bin/a{control}>/dev/null")

    assert fields["name"] == "crontab line 1: /bin/a >/dev/null"
    assert fields["extra"] == {"command": f"/bin/a{control}>/dev/null"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5/15 * * * * x", "write 5-59/15"),
        ("* * * * 1/2 x", "step after a single number"),
        ("22-2 * * * * x", "do not wrap around"),
        ("* * * * fri-mon x", "do not wrap around"),
        ("*/0 * * * * x", "a step of 0"),
        ("60 * * * * x", "'60' is not a valid minute: 0-59"),
        ("0 0 0 * * x", "'0' is not a valid day of month: 1-31"),
        ("* * * * 8 x", "0-7 or sun-sat"),
        ("* * * * sunday x", "0-7 or sun-sat"),
        ("* * L * * x", "'L' is not a valid day of month"),
        ("* * ? * * x", "'?' is not a valid day of month"),
        ("H * * * * x", "'H' is not a valid minute"),
        ("1,,2 * * * * x", "'' is not a valid minute"),
        ("0 0 2 * * * x", "six or more time fields"),
        ("0 0 2 * * ? x", "six or more time fields"),
        ("0 0 2 1 1 * 2027 x", "six or more time fields"),
        ("*/10 * * * * * x", "six or more time fields"),
        ("@reboot x", "start-up hook"),
        ("@every_minute x", "cron knows @yearly"),
        ("@Daily x", "cron knows @yearly"),
        ("@hourly", "five fields or a macro and a command"),
        ("* * * * *", "five fields or a macro and a command"),
        ("tomorrow", "five fields or a macro and a command"),
    ],
)
def test_lines_that_cron_refuses_or_nothing_can_do_are_refused(line: str, reason: str) -> None:
    found = _entry(line)

    assert found.fields is None
    assert reason in found.differences[0]


def test_six_fields_before_a_user_are_refused_too() -> None:
    assert _entry("0 0 2 * * * root /bin/x", SYSTEM).fields is None
    assert _entry("0 0 2 * * 2027 /bin/x", SYSTEM).fields is None


@pytest.mark.parametrize(
    ("line", "expression"),
    [
        ("* * * * 7-7 x", "* * * * 0"),
        ("* * * * 5-7 x", "* * * * 5-7"),
        ("*/90 * * * * x", "*/60 * * * *"),
        ("0 */36 * * * x", "0 */24 * * *"),
        ("* * * JAN,mar-May Sun x", "* * * JAN,mar-May Sun"),
        ("01 02 * * * x", "01 02 * * *"),
        ("0 0 */2 * 1 x", "0 0 */2 * 1"),
        ("@midnight x", "@midnight"),
        ("~ 0~6 * * * x", "h h(0-6) * * *"),
        ("0~30/10,45 * * * * x", "h(0-30)/10,45 * * * *"),
    ],
)
def test_fields_mean_what_they_mean_in_cron(line: str, expression: str) -> None:
    assert _fields(line)["cron_definition"] == expression


def test_a_leading_minus_and_a_tilde_are_reported() -> None:
    found = _entry("-*/15 * * * * /usr/lib/sa1")
    random = _entry("~ * * * * x")

    assert found.fields is not None
    assert found.fields["cron_definition"] == "*/15 * * * *"
    assert any("leading -" in each for each in found.differences)
    assert any("~ is H here" in each for each in random.differences)


def test_variables_hold_for_the_lines_below_them() -> None:
    document = """SHELL=/bin/bash
PATH = '/usr/bin:/bin'
0 1 * * * a
MAILTO=""
CRON_TZ=Asia/Tokyo
RANDOM_DELAY=5
TZ=America/New_York
0 2 * * * b
"""

    first, second = crontab.read(document, USER)

    assert first.fields is not None
    assert first.fields["timezone"] == "Europe/Warsaw"
    environment = {"SHELL": "/bin/bash", "PATH": "/usr/bin:/bin"}
    assert first.fields["extra"] == {"command": "a", "environment": environment}
    assert second.fields is not None
    assert second.fields["timezone"] == "Asia/Tokyo"
    assert second.fields["jitter_ms"] == 300_000
    assert second.fields["extra"]["environment"] == environment | {"TZ": "America/New_York"}
    told = " ".join(second.differences)
    for variable in (
        "SHELL",
        "PATH",
        "MAILTO",
        "CRON_TZ",
        "RANDOM_DELAY",
        "TZ is for the command",
    ):
        assert variable in told


def test_percent_signs_are_line_ends_and_standard_input() -> None:
    fields = _fields('0 22 * * 1-5 mail -s "It\'s 10pm" joe%Joe,%%Where are your kids?%')
    escaped = _fields(r"33 22 * * * expr $(date +\%s) / 9 \% 9")

    assert fields["extra"]["command"] == 'mail -s "It\'s 10pm" joe'
    assert fields["extra"]["stdin"] == "Joe,\n\nWhere are your kids?\n"
    assert escaped["extra"] == {"command": "expr $(date +%s) / 9 % 9"}


def test_a_system_crontab_read_as_a_users_is_reported() -> None:
    assert any("with_user" in each for each in _entry("0 5 * * * root /bin/x").differences)


def test_comments_and_empty_lines_are_skipped() -> None:
    document = "# a\n\n   \t\n \t# b\n\ufeff0 1 * * * x\r\n"

    assert [found.place for found in crontab.read(document, USER)] == ["line 5"]


@pytest.mark.parametrize("name", ["CRON_TZ", "TZ"])
def test_a_zone_before_a_schedule_is_refused_and_not_taken_for_a_variable(name: str) -> None:
    before, after = crontab.read(f"{name}=Asia/Tokyo 0 6 * * * x\n0 7 * * * y", USER)

    assert before.fields is None
    assert "a line of its own" in before.differences[0]
    assert after.fields is not None
    assert after.fields["timezone"] == "Europe/Warsaw"
