import logging
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.log import JSONFormatter, PrettyFormatter
from zato_lite.redaction import HIDDEN, redacted, without_secrets
from zato_lite.wire import decode, encode

pytestmark = pytest.mark.usefixtures("without_collector")

KEY = "zl_0123456789ab_" + "A" * 43


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"password":"x y\\"z","a":1}', '{"password":"***","a":1}'),
        ('{"password": 7, "a": 1}', '{"password": "***", "a": 1}'),
        ('{"credentials": {"name": "ann", "password": "x"}}',
         '{"credentials": {"name": "ann", "password": "***"}}'),
        ("{'client_secret': 'x', 'n': 1}", "{'client_secret': '***', 'n': 1}"),
        ('"{\\"api_key\\": \\"zzz\\", \\"a\\": 1}"', '"{\\"api_key\\": \\"***\\", \\"a\\": 1}"'),
        ("user=ann&passwd=abc&b=1", "user=ann&passwd=***&b=1"),
        ("{b'authorization': b'Basic YWRtaW46', b'a': b'b'}",
         "{b'authorization': b'***', b'a': b'b'}"),
        ("sent Authorization: Bearer eyJhbGciOi.x", "sent Authorization: ***"),
        (f"the key {KEY} is new", "the key zl_0123456789ab_*** is new"),
        ("postgresql://ann:pw@host/db", "postgresql://ann:***@host/db"),
        ("Cookie: zato_lite_session=abc.def", "Cookie: ***"),
        ("refresh_token='abc' attempt=1", "refresh_token='***' attempt=1"),
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("postgres://u:p@ss@host/db", "postgres://u:***@host/db"),
        ('{"url":"http://a:80","mail":"b@c.d"}', '{"url":"http://a:80","mail":"b@c.d"}'),
        ("https://0123456789abcdef0123@host/x", "https://***@host/x"),
        ('Authorization: Digest username="a", response="pw"', "Authorization: ***"),
        ('{"head":"Authorization: Basic YQ==","n":1}', '{"head":"Authorization: ***","n":1}'),
        ("Authorization: Digest username=a, response=pw", "Authorization: ***"),
        ("Authorization: Bearer abcdefghijklmnopqrstuv", "Authorization: ***"),
        ("Proxy-Authorization: Negotiate abc\nHost: a", "Proxy-Authorization: ***\nHost: a"),
        ("Set-Cookie: a=b; Path=/\r\nX: y", "Set-Cookie: ***\r\nX: y"),
        ("token=abc", "token=***"),
        ('{"token":"abc","n":1}', '{"token":"***","n":1}'),
        ('{"pwd":"abc"}', '{"pwd":"***"}'),
        ("pass=abc&x=1", "pass=***&x=1"),
        ("GET /file?sig=a%2Fb&x=1", "GET /file?sig=***&x=1"),
        ("X-Amz-Signature=0a1b2c", "X-Amz-Signature=***"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ ends", "jwt *** ends"),
        ("jwt-eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ", "jwt-***"),
        ("eyJ-eyJhbGciOiJI.eyJzdWIiOiIx. eyJab-eyJ", "*** eyJab-eyJ"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
         "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----"),
        ('{"k":"-----BEGIN PRIVATE KEY-----\\nMI"}', '{"k":"-----BEGIN PRIVATE KEY-----***"}'),
        ("id AKIAABCDEFGHIJKLMNOP used", "id *** used"),
        ("ghp_0123456789abcdefABCD", "ghp_***"),
        ("github_pat_0123456789abcdefABCD", "github_pat_***"),
        ("xoxb-123456789-abc", "xoxb-***"),
        ("password => abc n=1", "password => *** n=1"),
        ("password := abc", "password := ***"),
        ("secret == 'abc'", "secret == '***'"),
        ("next=%2F%3Fpassword%3Dabc&x=1", "next=%2F%3Fpassword%3D***&x=1"),
        ("zato_lite_session=abc-DEF", "zato_lite_session=***"),
        ("JSESSIONID=0A1B; Path=/", "JSESSIONID=***; Path=/"),
        ("AccountKey=abc==;Suffix=x", "AccountKey=***;Suffix=x"),
        ("https://api.telegram.org/bot123456:AAE-abcdefghijklmn/send",
         "https://api.telegram.org/bot123456:***/send"),
        ("sk_live_0123456789abcdef", "sk_live_***"),
        ("https://hooks.slack.com/services/T0/B0/Xyz", "https://hooks.slack.com/***"),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***"),
        ("mysql --password hunter2 -u x", "mysql --password *** -u x"),
        ("tool --api-key 'a b' run", "tool --api-key *** run"),
        ("<password>hunter2</password>", "<password>***</password>"),
        ('<ns:dbPwd kind="x">a</ns:dbPwd>', '<ns:dbPwd kind="x">***</ns:dbPwd>'),
    ],
)  # fmt: skip
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert redacted(text) == shown
    assert redacted(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Got 12 rows from crm",
        "no password was given",
        '{"password":null,"has_secret":true}',
        "token=5 attempt=1",
        "basic authentication, bearer of news",
        "see https://example.com/a:b@c",
        "zl_short_x",
        '{"token":12,"attempt":1}',
        "5 tests pass: 5 of 6",
        "bypass=1 compass=north signal=9",
        "sort -- tokens; see <b>token</b>",
        "http://a:80/x and b@c.d",
    ],
)
def test_other_text_is_unchanged(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize(
    "unit",
    ["password=", "password%3d", "password==>", "sessionid=", "/bot1:", 'secret="', "token=",
     "token=1", "sig=", "pwd:", "passphrase=b'", "cookie=",
     "authorization:", 'authorization: username="', 'authorization: Digest response="', "Basic ",
     "bearer a", "zl_0123456789ab_", "://", "://a:", "://a:b@", "://" + "a" * 20, "eyJ", "eyJa.",
     "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "AKIA", "ghp_", "xoxb-", "sk-", "SG.a", "npm_",
     "hooks.slack.com/", "--token ", "--password -", "</", "<password>", "<password ", "<token a=",
     "</a><token>", "access_", 'private-key \\"', '"', "\\", '\\"', "[", "{", "-", " "],
)  # fmt: skip
def test_redaction_takes_time_proportional_to_the_text(unit: str) -> None:
    times = []
    for length in (25_000, 100_000):
        text = unit * (length // len(unit))
        took = []
        for _ in range(3):
            began = time.thread_time()
            redacted(text)
            redacted('password="' + text)
            took.append(time.thread_time() - began)
        times.append(min(took))

    assert times[1] < 10 * max(times[0], 0.001)  # quadratic: 16


def test_redaction_is_fast_for_any_text() -> None:
    began = time.process_time()
    for text in (
        'password="' * 20_000,
        "password=\\" * 20_000,
        "key" + "\\'" * 50_000,
        '"password": ' * 20_000,
        "password" * 20_000,
        "api_token='" * 20_000,
        'password:\\"' + "\\" * 100_000,
        "basic " + "a" * 100_000,
        "://" * 50_000,
        "://a:" * 50_000,
        "://:" + "a" * 200_000,
        "<password " + "a" * 100_000,
        "<password></" * 20_000,
        "--token " * 30_000,
        "eyJ" * 60_000 + ".",
        "eyJ-" * 250_000,
        "a-eyJabcdef.b" * 50_000,
        "eyJabcdef-.eyJ" * 50_000,
        "-----BEGIN PRIVATE KEY-----" * 10_000,
        "authorization: " * 20_000,
        "cookie:" + " " * 100_000,
        "pass=" * 40_000,
    ):
        redacted(text)

    assert time.process_time() - began < 2


def test_secrets_are_hidden_at_any_depth_of_a_value() -> None:
    value: Any = {"a": {"password": "x", "list": [{"Secret": 1}, "api_key=2"]}, "password": None}

    assert without_secrets(value) == {
        "a": {"password": "***", "list": [{"Secret": "***"}, "api_key=***"]},
        "password": None,
    }


def test_secrets_are_hidden_in_both_log_formats() -> None:
    error = ValueError(f"{KEY} is refused")
    record = logging.makeLogRecord(
        {
            "msg": "Sending %s",
            "args": ({"password": "hunter2"},),
            "exc_info": (ValueError, error, None),
            "headers": {"Authorization": "Basic YWRtaW46c2VjcmV0"},
            "count": 3,
        }
    )

    json_line, pretty_line = JSONFormatter().format(record), PrettyFormatter(False).format(record)

    for line in (json_line, pretty_line):
        assert "hunter2" not in line
        assert "YWRt" not in line
        assert "AAAA" not in line
        assert "Sending" in line
    assert decode(json_line)["count"] == 3


_NAMED = st.sampled_from(["password", "a", "api_key"])


@given(st.dictionaries(_NAMED, st.text() | st.integers(0, 2**63)))
def test_json_stays_json_with_only_its_secrets_replaced(value: dict[str, Any]) -> None:
    found = decode(redacted(encode(value).decode()))

    assert found.keys() == value.keys()
    assert {found[name] for name in found if name != "a"} <= {HIDDEN}
