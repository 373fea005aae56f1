"""Shorteners: the useful end, within the limit, never empty, stable."""

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gongdian.errors import InputError
from gongdian.render import characters
from gongdian.render.keywords import KeywordType, check, find_problem
from gongdian.render.shorten import fit_amount, shorten_address, shorten_end, shorten_list

ADDRESS = "湖北省云溪县城关镇东关村2组18号"
ADDRESSES = st.lists(
    st.sampled_from(
        list("湖北省云溪县城关镇东村街道路组号区市0123456789Ⅱab ，…\n😀𠮷\u0301\u0f71\ufe0f\ue000")
    ),
    max_size=60,
).map("".join)
TEXTS = st.one_of(st.text(max_size=60), ADDRESSES)
LIMITS = st.integers(min_value=8, max_value=32)


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (20, ADDRESS),
        (17, ADDRESS),
        (16, "…云溪县城关镇东关村2组18号"),
        (12, "…城关镇东关村2组18号"),
        (11, "…东关村2组18号"),
        (9, "…东关村2组18号"),
        (8, "…2组18号"),
    ],
)
def test_an_address_loses_whole_administrative_levels_from_the_front(limit, wanted):
    assert shorten_address(ADDRESS, limit) == wanted


@pytest.mark.parametrize(
    ("text", "limit", "wanted"),
    [
        ("云溪县市场路农贸综合批发市场12号", 16, "…市场路农贸综合批发市场12号"),
        ("城关镇滨江社区居民委员会旁18号楼3单元", 19, "…滨江社区居民委员会旁18号楼3单元"),
        ("没有任何行政区划名称可以切开的很长的文字", 10, "…以切开的很长的文字"),
        ("东关村东关东关东关东关201号", 8, "…关东关201号"),
        ("某某某某某某12345678北侧", 8, "…北侧"),
    ],
)
def test_an_address_is_cut_where_no_name_or_number_is_broken(text, limit, wanted):
    assert shorten_address(text, limit) == wanted


def test_an_end_keeps_the_beginning_and_no_half_number():
    assert shorten_end("更换老旧导线，可能提前送电", 10) == "更换老旧导线，可能…"
    assert shorten_end("东关东关东关220kV变电站", 10) == "东关东关东关…"


def test_a_list_names_one_and_counts_all():
    names = ["东关村2号公变", "东关村3号公变", "西街1号公变", "南门公变", "北门公变", "河东公变"]
    assert shorten_list(names) == "东关村2号公变等6个台区"
    assert shorten_list(names[3:5]) == "南门公变、北门公变"
    assert shorten_list(names[:1]) == "东关村2号公变"
    assert shorten_list(names, 10) == "共6个台区"
    assert shorten_list(names, unit="户") == "东关村2号公变等6户"


@pytest.mark.parametrize("text", ["", "  ", "\u200b\n", "😀", "…", "…\r…", "\u0301"])
@pytest.mark.parametrize("shorten", [shorten_address, shorten_end])
def test_a_text_with_nothing_to_show_is_refused(shorten, text):
    with pytest.raises(InputError) as caught:
        shorten(text)
    assert caught.value.code == "shorten_nothing"


def test_a_limit_too_small_for_a_character_is_refused():
    with pytest.raises(InputError, match="shorten_limit"):
        shorten_end("东", 7)
    with pytest.raises(InputError, match="shorten_limit"):
        shorten_list(["东关村一二三四五"] * 3, 8, unit="个非常长的单位")
    with pytest.raises(InputError, match="shorten_nothing"):
        shorten_list([])


def test_a_private_use_character_becomes_the_printers_mark():
    assert shorten_end("张\ue000丰") == "张〓丰"


def _has_content(text):
    return characters.plain(text).strip(" …") != ""


def _starts_inside_a_character(result, line):
    """Whether a cut result begins or ends between a character and its marks."""
    body = result.strip(" …")
    if not body or characters.is_mark(body[0]):
        return True
    at = line.find(body)
    after = line[at + len(body) : at + len(body) + 1]
    return bool(after) and characters.is_mark(after) and line.count(body) == 1


@given(TEXTS, LIMITS)
def test_an_address_fits_says_something_and_stays(text, limit):
    assume(_has_content(text))
    result = shorten_address(text, limit)
    _holds(result, text, limit)
    assert shorten_address(result, limit) == result


@given(TEXTS, LIMITS)
def test_an_end_fits_says_something_and_stays(text, limit):
    assume(_has_content(text))
    result = shorten_end(text, limit)
    _holds(result, text, limit)
    assert shorten_end(result, limit) == result


def _holds(result, text, limit):
    assert characters.length(result) <= limit
    assert result.strip(" …")
    assert not _starts_inside_a_character(result, characters.plain(text))
    assert find_problem(KeywordType.SHORT_THING, result, max_length=limit) is None


@given(st.lists(TEXTS, min_size=1, max_size=300), st.integers(min_value=12, max_value=32))
def test_a_list_fits_and_says_something(items, limit):
    assume(all(_has_content(item) for item in items))
    result = shorten_list(items, limit)
    assert characters.length(result) <= limit
    assert find_problem(KeywordType.SHORT_THING, result, max_length=limit) is None
    assert shorten_list([result], limit) == result


@given(TEXTS)
def test_plain_text_is_stable_and_holds_nothing_that_is_refused(text):
    line = characters.plain(text)
    assert characters.plain(line) == line
    assert not characters.has_emoji(line)
    assert not characters.has_refused(line)


@pytest.mark.parametrize(
    ("yuan", "wanted"),
    [
        ("186452.37", "186452.37元"),
        ("86.4", "86.40元"),
        ("0", "0.00元"),
        ("99999999.99", "99999999.99元"),
        ("9999999999.00", "9999999999元"),
    ],
)
def test_money_is_written_exactly(yuan, wanted):
    assert fit_amount(Decimal(yuan)) == wanted
    check("amount1", wanted)


@pytest.mark.parametrize(
    ("yuan", "code"),
    [
        ("100000000.01", "amount_too_large"),
        ("10000000000", "amount_too_large"),
        ("1E+40", "amount_too_large"),
        ("-0.01", "amount_not_payable"),
        ("0.005", "amount_not_payable"),
        ("NaN", "amount_not_payable"),
        ("Infinity", "amount_not_payable"),
    ],
)
def test_money_is_never_rounded_to_fit(yuan, code):
    with pytest.raises(InputError) as caught:
        fit_amount(Decimal(yuan))
    assert caught.value.code == code


@given(st.integers(min_value=0, max_value=9_999_999_999))
def test_every_sum_below_a_hundred_million_yuan_passes(fen):
    check("amount1", fit_amount(Decimal(fen).scaleb(-2)))
