"""Answers to requests with an idempotency key."""

from zato_lite.store.answers import Answers
from zato_lite.store.ports import Database


async def test_the_first_answer_is_kept_until_it_expires(database: Database) -> None:
    answers = Answers(database)

    await answers.save("user:ann", "k", ("f1", '{"a": "ä"}'), 10, 20)
    await answers.save("user:ann", "k", ("f2", "{}"), 10, 99)

    assert await answers.find("user:ann", "k", 19) == ("f1", '{"a": "ä"}')
    assert await answers.find("user:bob", "k", 19) is None
    assert await answers.find("user:ann", "k", 20) is None


async def test_expired_answers_are_deleted(database: Database) -> None:
    answers = Answers(database)
    await answers.save("user:ann", "k", ("f1", "{}"), 10, 20)

    await answers.save("user:ann", "k", ("f2", "{}"), 20, 30)

    assert await answers.find("user:ann", "k", 25) == ("f2", "{}")
