"""HTML as Telegram reads it."""

import pytest

from sandbox.telegram.entities import parse, units
from sandbox.telegram.errors import BotApiError


@pytest.mark.parametrize(("html", "text", "expected"), [
    ("<b>a</b><strong>b</strong>", "ab", [("bold", 0, 1), ("bold", 1, 1)]),
    ("<i>a</i><em>b</em>", "ab", [("italic", 0, 1), ("italic", 1, 1)]),
    ("<u>a</u><ins>b</ins>", "ab", [("underline", 0, 1), ("underline", 1, 1)]),
    ("<s>a</s><strike>b</strike><del>c</del>", "abc",
     [("strikethrough", 0, 1), ("strikethrough", 1, 1), ("strikethrough", 2, 1)]),
    ("<code>a</code> <pre>b</pre>", "a b", [("code", 0, 1), ("pre", 2, 1)]),
    ("<tg-spoiler>a</tg-spoiler><span class=\"tg-spoiler\">b</span>", "ab", [("spoiler", 0, 1), ("spoiler", 1, 1)]),
    ("<blockquote>a</blockquote><blockquote expandable>b</blockquote>", "ab",
     [("blockquote", 0, 1), ("expandable_blockquote", 1, 1)]),
    ("𝄞<b>𝄞<i>x</i></b>", "𝄞𝄞x", [("bold", 2, 3), ("italic", 4, 1)]),
    ("  <b> x </b>  ", "x", [("bold", 0, 1)]),
    ("<B>x</b><b></b>", "x", [("bold", 0, 1)]),
    ("&lt;b&gt; &amp;quot; &quot; &#39;&#x41; &nbsp; & &#0;", "<b> &quot; \" 'A &nbsp; & &#0;", []),
    ("see /help and https://a.example/x.", "see /help and https://a.example/x",
     [("bot_command", 4, 5), ("url", 14, 19)]),
    ("<code>/help</code> and/or", "/help and/or", [("code", 0, 5)]),
])
def test_what_is_understood(html: str, text: str, expected: list[tuple[str, int, int]]) -> None:
    plain, found = parse(html, "HTML")
    assert plain.removesuffix(".") == text
    assert [(e["type"], e["offset"], e["length"]) for e in found] == expected


def test_links_and_languages() -> None:
    assert parse("<a href=\"https://a.example/?a=1&amp;b\">x</a>", "HTML")[1][0]["url"] == "https://a.example/?a=1&b"
    assert parse("<a href='javascript:alert(1)'>x</a>", "HTML")[1] == []
    assert parse("<pre><code class=\"language-python\">x</code></pre>", "HTML")[1] == [
        {"type": "pre", "offset": 0, "length": 1, "language": "python"}]


@pytest.mark.parametrize(("html", "says"), [
    ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
    ("ä<foo>x</foo>", "Unsupported start tag \"foo\" at byte offset 2"),
    ("a < b > c", "Unsupported start tag \"\" at byte offset 2"),
    ("a <b", "Unclosed start tag at byte offset 2"),
    ("x</b>", "Unexpected end tag at byte offset 1"),
    ("<i>a</em>", "Unmatched end tag at byte offset 4, expected \"</i>\", found \"</em>\""),
    ("<b>a</b", "Unclosed end tag at byte offset 4"),
    ("<span>x</span>", "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0"),
])
def test_what_is_refused(html: str, says: str) -> None:
    with pytest.raises(BotApiError) as caught:
        parse(html, "HTML")
    assert caught.value.description == f"Bad Request: can't parse entities: {says}"


def test_without_a_parse_mode_nothing_is_markup() -> None:
    assert parse("<b>x", "") == ("<b>x", [])


def test_the_limit_is_counted_after_parsing() -> None:
    plain, _ = parse("<b>" + "x" * 4096 + "</b>", "HTML")
    assert units(plain) == 4096
