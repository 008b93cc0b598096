import pytest

from zato_lite.builtin.imports import quartz
from zato_lite.errors import BadInputError


@pytest.mark.parametrize(
    ("of_quartz", "expected"),
    [
        ("0 0 0 ? * L", "0 0 0 ? * 6"),
        ("0 0 0 ? * 1", "0 0 0 ? * 0"),
        ("0 0 0 ? * 7", "0 0 0 ? * 6"),
        ("0 0 0 ? * 1-7/2", "0 0 0 ? * */2"),
        ("0 0 0 ? * 2/2", "0 0 0 ? * 1,3,5"),
        ("0 0 0 ? * 6-2", "0 0 0 ? * 0,1,5,6"),
        ("0 0 0 ? * fril", "0 0 0 ? * 5L"),
        ("0 0 0 ? * L,2", "0 0 0 ? * 1,6"),
        ("0 0 0 LW * ?", "0 0 0 LW * ?"),
        ("0 0 0 1,L * ?", "0 0 0 1,L * ?"),
    ],
)
def test_expressions_mean_what_they_mean_in_quartz(of_quartz: str, expected: str) -> None:
    assert quartz.convert(of_quartz)[0] == expected


@pytest.mark.parametrize(
    "wrong",
    """
    0 0 12 ? * 0, 0 0 12 ? * 8, 0 0 12 ? * 0-4, 0 0 12 ? * 0#1, 0 0 12 ? * 0L, 0 0 12 0 * ?,
    0 0 24 * * ?, 60 0 0 * * ?, 0 0 12 * 13 ?, ? 0 12 * * ?, 0 0 12 * * *, 0 0 12 ? * ?,
    0 0 12 * * 1, 0 0/0 12 * * ?, 0 0 12 ? * FRIDAY
    """.strip().split(","),
)
def test_what_quartz_refuses_is_refused(wrong: str) -> None:
    with pytest.raises(BadInputError):
        quartz.convert(wrong)
