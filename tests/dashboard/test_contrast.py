"""Contrast of the dashboard's colours in both themes, as WCAG 2.2 AA asks.

Texts need 4.5 on each background below them, edges of controls and the focus need 3. Chromium's
checks of real pages are in ``browser``; these here hold for states that no test opens.
"""

import re
from collections.abc import Iterator

import pytest

from zato_lite.dashboard.pages import STATIC

CSS = {path.name: path.read_text() for path in sorted((STATIC / "css").glob("*.css"))}
LEVELS = ("page", "surface", "raised")
OUTCOMES = ["ok", "error", "timeout", "running", "skipped", "missed", "cancelled", "lost", "idle"]
TEXTS = ("text", "text-2", "text-3", "accent", *OUTCOMES)
SOFT = {
    "accent-soft": ("text", "text-2", "text-3", "accent"),
    "ok-soft": ("text", "text-2", "ok"),
    "error-soft": ("text", "text-2", "error"),
    "warn-soft": ("text", "text-2", "timeout"),
    "missed-soft": ("text", "missed"),
}
HEAT = (7, 15, 24, 34, 46)
"""Shares of the accent in the cells of the heat map."""

Colour = tuple[float, float, float]
_PAIR = re.compile(r"light-dark\((#\w+),\s*(#\w+)\)")


def read(text: str) -> Colour:
    """Read a colour written as #rrggbb."""
    assert re.fullmatch(r"#[0-9a-f]{6}", text), f"write {text} as #rrggbb"
    red, green, blue = (int(text[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def mix(first: Colour, share: float, second: Colour) -> Colour:
    """Mix two colours as color-mix(in srgb) does."""
    red, green, blue = (a * share + b * (1 - share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def luminance(colour: Colour) -> float:
    """Return the relative luminance as WCAG defines it."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: Colour, second: Colour) -> float:
    """Return the ratio of two colours, 1 to 21."""
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=["light", "dark"])
def tokens(request: pytest.FixtureRequest) -> dict[str, Colour]:
    """Return the colours of a theme by the names of their tokens."""
    at = 1 + (request.param == "dark")
    found = re.finditer(r"--([\w-]+):\s*" + _PAIR.pattern + ";", CSS["10-tokens.css"])
    return {each[1]: read(each[at + 1]) for each in found if len(each[2]) == 7 == len(each[3])}


def painted() -> Iterator[tuple[str, str, str]]:
    """Yield the rules that set a text's colour and its background, both from tokens."""
    for name, text in CSS.items():
        for rule in re.finditer(r"([^{}]+)\{([^{}]*)\}", text):
            ink = re.search(r"(?<![\w-])color:\s*var\(--([\w-]+)\)", rule[2])
            ground = re.search(r"(?<![\w-])background:\s*var\(--([\w-]+)\)", rule[2])
            if ink and ground:
                yield f"{name} {rule[1].strip()}", ink[1], ground[1]


def test_black_on_white_has_the_contrast_that_wcag_names() -> None:
    assert contrast(read("#000000"), read("#ffffff")) == 21
    assert round(contrast(read("#767676"), read("#ffffff")), 2) == 4.54


def test_texts_can_be_read_on_every_level(tokens: dict[str, Colour]) -> None:
    pairs = {
        (ink, ground): contrast(tokens[ink], tokens[ground]) for ink in TEXTS for ground in LEVELS
    }

    assert {pair: ratio for pair, ratio in pairs.items() if ratio < 4.5} == {}


def test_texts_can_be_read_on_soft_backgrounds(tokens: dict[str, Colour]) -> None:
    pairs = {
        (ink, ground): contrast(tokens[ink], tokens[ground])
        for ground, inks in SOFT.items()
        for ink in inks
    }

    assert {pair: ratio for pair, ratio in pairs.items() if ratio < 4.5} == {}


def test_texts_can_be_read_where_a_rule_sets_both_colours(tokens: dict[str, Colour]) -> None:
    rules = list(painted())

    assert len(rules) > 10
    poor = {
        name: (ink, ground)
        for name, ink, ground in rules
        if contrast(tokens[ink], tokens[ground]) < 4.5
    }
    assert poor == {}


def test_numbers_of_the_heat_map_can_be_read_in_every_cell(tokens: dict[str, Colour]) -> None:
    cells = (mix(tokens["accent"], share / 100, tokens["raised"]) for share in HEAT)

    assert all(contrast(tokens["text"], cell) >= 4.5 for cell in cells)
    for level, share in enumerate(HEAT, 1):
        assert f".heat.h{level} {{ --heat: {share}%; }}" in CSS["56-forecast.css"]


@pytest.mark.parametrize("edge", ["edge-strong", "focus", "accent"])
def test_edges_of_controls_and_the_focus_can_be_seen(tokens: dict[str, Colour], edge: str) -> None:
    assert all(contrast(tokens[edge], tokens[ground]) >= 3 for ground in LEVELS)


def test_colours_written_outside_of_the_tokens_can_be_read(tokens: dict[str, Colour]) -> None:
    """Inserted words of a comparison: the only text whose colour is no token."""
    [(light, dark)] = re.findall(r"(?<![\w-])color:\s*" + _PAIR.pattern, "".join(CSS.values()))
    is_light = luminance(tokens["page"]) > 0.5

    assert contrast(read(light if is_light else dark), tokens["ok-soft"]) >= 4.5
