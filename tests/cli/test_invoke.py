from pathlib import Path

import pytest

from tests.cli.conftest import Running


def test_fields_have_the_types_that_the_service_declares(server: Running) -> None:
    paid = server.run("invoke", "shop.pay", "id=7", "paid=true", "note=5")

    assert paid.json == {"id": 7, "paid": True, "note": "5"}


def test_fields_of_a_service_without_types_are_texts_or_json(server: Running) -> None:
    echoed = server.run(
        "invoke", "shop.echo", "phone=0123", "a=b=c", 'lines:=[{"sku": 1}]', "n:=5"
    )

    assert echoed.json == {"phone": "0123", "a": "b=c", "lines": [{"sku": 1}], "n": 5}


def test_a_payload_is_json_a_file_or_stdin(server: Running, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"a": 1}')

    assert server.run("invoke", "shop.echo", '{"a": 1}').json == {"a": 1}
    assert server.run("invoke", "shop.echo", f"@{tmp_path / 'in.json'}").json == {"a": 1}
    assert server.run("invoke", "shop.echo", "-", stdin='{"a": 1}').json == {"a": 1}
    assert server.run("invoke", "shop.echo", "-o", "yaml", "a=b").out == "a: b\n"
    assert server.run("invoke", "shop.echo", f"@{tmp_path / 'no'}").status == 2


@pytest.mark.parametrize("wrong", [["a=1", "b"], ["=1", "a=1"], ["a:=x"], ["word"]])
def test_fields_that_cannot_be_read_are_refused(server: Running, wrong: list[str]) -> None:
    ran = server.run("invoke", "shop.echo", *wrong)

    assert (ran.status, ran.out) == (2, "")


@pytest.mark.parametrize("text", ["5", "true", "[1]", '{"a":"b=c"}'])
def test_any_json_is_a_payload(server: Running, text: str) -> None:
    assert server.run("invoke", "shop.echo", text).out == f"{text}\n"


def test_a_word_that_cannot_be_a_payload_is_named_with_the_forms_of_one(server: Running) -> None:
    ran = server.run("invoke", "shop.echo", "word")

    assert ran.err == "zato-lite: 'word' is not KEY=VALUE; or give JSON, @FILE or - alone\n"


def test_an_error_of_a_service_is_a_sentence_and_a_hint(server: Running) -> None:
    ran = server.run("invoke", "shop.fail")

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("zato-lite: An error has occurred; zato-lite log ")
