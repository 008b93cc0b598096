from pathlib import Path

from tests.cli.conftest import Running
from tests.outgoing.certificates import make_certificates


def test_a_server_with_a_certificate_of_an_own_authority_needs_its_certificate(
    tmp_path: Path,
) -> None:
    make_certificates(tmp_path)

    with Running(tmp_path, str(tmp_path / "own.pem"), str(tmp_path / "own.key.pem")) as server:
        trusted = server.run("status", "--ca", str(tmp_path / "ca.pem"))
        by_variable = server.run("status", ZATO_LITE_CA=str(tmp_path / "ca.pem"))
        unknown = server.run("status")
        plain = server.run("status", ZATO_LITE_URL=server.url.replace("https", "http"))

    assert (trusted.status, by_variable.status) == (0, 0)
    assert (unknown.status, "is not trusted" in unknown.err) == (3, True)
    assert "use --ca FILE" in unknown.err
    assert (plain.status, "needs https://" in plain.err) == (3, True)
