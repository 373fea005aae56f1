"""Message kinds, account maps and composing."""

import shutil
import tomllib

import pytest

from gongdian.errors import ConfigError, InputError, NotFoundError
from gongdian.render.keywords import KeywordType
from gongdian.render.kinds import Priority
from gongdian.render.loader import ACCOUNTS, MESSAGES
from gongdian.render.registry import LONGEST_URL, Registry, url_problem

DEMO = "wxdemo0000000001"
URL = "https://dl.example.cn/h5/binding?t=abc"

KIND = """
kind = "arrears_bill"
title = "电费账单通知"
flow = "arrears"
label = "电费账单"
priority = "normal"
legal = false
time_to_live_h = 72
quiet_hours = true

[[keywords]]
name = "customer_name"
label = "户名"
type = "thing"
sample = "张*"

[[keywords]]
name = "amount_due"
label = "应缴"
type = "amount"
sample = "86.40元"
"""

ACCOUNT = """
appid = "wx1234567890abcdef"
name = "测试公众号"

[templates.arrears_bill]
template_id = "TEMPLATE-0000000000000000000000000000000001"

[templates.arrears_bill.keys]
customer_name = "thing4"
amount_due = "amount2"
"""

# The sample messages that customer service reviewed: label = value, in order.
REVIEWED = {
    "arrears_bill": "户名 云溪恒源铸造有限公司|户号 9900001203457|账期 2026年10月电费|"
    "应缴 186452.37元|截止 2026年11月25日 23:59",
    "arrears_due_soon": "户名 张*|户号 9900000345812|应缴 86.40元|截止 2026年11月25日 23:59|"
    "提示 如已交费请忽略本提醒",
    "balance_low": "户号 9900000345901|可用余额 12.36元|测算时间 2026年11月20日 06:00|"
    "提示 余额不足30元，请及时充值",
    "arrears_overdue": "户名 云溪恒源铸造有限公司|户号 9900001203457|欠费本金 186452.37元|"
    "逾期天数 6|提示 违约金另计，有疑问请点此反馈",
    "cutoff_notice": "户名 云溪恒源铸造有限公司|户号 9900001203457|欠费本金 186452.37元|"
    "拟停电时间 2027年1月6日 09:00|提示 通知书已送达，交清即不再停电",
    "outage_planned": "线路 10kV城东Ⅱ线512|范围 东关村2号公变等6个台区|停电 2026年12月1日 08:00|"
    "预计送电 2026年12月1日 17:00|原因 更换老旧导线，可能提前送电",
    "outage_changed": "编号 JH20261201-03|变更 停电延期|原时间 2026年12月1日 08:00|"
    "新时间 2026年12月9日 08:00|原因 大风预警，不具备作业条件",
    "outage_fault": "线路 10kV城东Ⅱ线512|环节 故障巡查|停电 2026年11月21日 14:32|"
    "预计送电 到场查明后尽快告知|电话 95598",
    "supply_path_lost": "户名 云溪县人民医院|电源 Ⅰ路：10kV城东Ⅱ线512|状态 一路失电|"
    "时间 2026年11月21日 14:32|提示 请确认备自投，严防反送电",
    "supply_restored": "范围 10kV城东Ⅱ线512后段|状态 恢复供电|送电 2026年11月21日 16:05|"
    "原因 树木碰线，已清除|提示 若仍无电，请点此报修",
}


@pytest.fixture(scope="module")
def shipped():
    return Registry.load()


@pytest.fixture
def folders(tmp_path):
    messages, accounts = tmp_path / "messages", tmp_path / "accounts"
    messages.mkdir()
    accounts.mkdir()
    (messages / "arrears_bill.toml").write_text(KIND, encoding="utf-8")
    (accounts / "main.toml").write_text(ACCOUNT, encoding="utf-8")
    return messages, accounts


@pytest.mark.parametrize("kind", sorted(REVIEWED))
def test_every_reviewed_sample_composes_word_for_word(shipped, kind):
    composed = shipped.compose(DEMO, kind, shipped.kind(kind).samples(), URL)
    wanted = tuple(tuple(row.split(" ", 1)) for row in REVIEWED[kind].split("|"))
    assert composed.fields == wanted
    assert list(composed.data.values()) == [value for _, value in wanted]


def test_the_sandbox_account_maps_every_kind(shipped):
    names = {kind.name for kind in shipped.kinds()}
    by_text_only = {"binding_code"}
    assert names == {*REVIEWED, "binding_request", "binding_done", *by_text_only}
    (account,) = shipped.accounts()
    assert set(account.templates) == names - by_text_only
    assert set(account.sms) == names
    for name in account.templates:
        shipped.compose(DEMO, name, shipped.kind(name).samples(), URL)


def test_only_a_code_is_secret(shipped):
    secrets = {kind.name: kind.secrets() for kind in shipped.kinds() if kind.secrets()}
    assert secrets == {"binding_code": ("code",)}


def test_only_the_cutoff_notice_is_legal_and_faults_pass_quiet_hours(shipped):
    assert [kind.name for kind in shipped.kinds() if kind.legal] == ["cutoff_notice"]
    assert shipped.kind("outage_fault").priority is Priority.CRITICAL
    assert not shipped.kind("outage_fault").quiet_hours
    assert shipped.kind("arrears_overdue").quiet_hours


def test_composing_uses_the_account_s_own_keys_and_ids(folders):
    registry = Registry.load(*folders)
    composed = registry.compose(
        "wx1234567890abcdef", "arrears_bill", {"amount_due": "1元", "customer_name": "李*"}
    )
    assert composed.data == {"thing4": "李*", "amount2": "1元"}
    assert composed.fields == (("户名", "李*"), ("应缴", "1元"))
    assert composed.template_id == "TEMPLATE-0000000000000000000000000000000001"
    assert composed.title == "电费账单通知"
    assert composed.url == ""
    assert composed.time_to_live.days == 3


def test_all_failing_fields_are_reported_together_without_their_values(shipped):
    values = shipped.kind("outage_fault").samples()
    values.update(feeder="东" * 21, stage="abc", outage_at="今天", extra="x")
    del values["phone"]
    with pytest.raises(InputError) as caught:
        shipped.compose(DEMO, "outage_fault", values, "http://dl.example.cn/")
    error = caught.value
    assert error.code == "message_fields_invalid"
    assert [(field.name, field.key, field.reason) for field in error.context["fields"]] == [
        ("feeder", "thing1", "keyword_too_long"),
        ("stage", "phrase2", "keyword_characters"),
        ("outage_at", "time3", "keyword_format"),
        ("phone", "phone_number5", "field_missing"),
        ("extra", "", "field_unknown"),
        ("url", "url", "url_not_allowed"),
    ]
    assert error.context["fields"][0].text_zh == "内容太长（20个字以内）"
    assert "东东" not in str(error)


def test_an_unknown_kind_or_account_is_not_found(shipped):
    with pytest.raises(NotFoundError, match="kind_unknown"):
        shipped.kind("lottery")
    with pytest.raises(NotFoundError, match="template_not_mapped"):
        shipped.compose("wxother00000000001", "arrears_bill", {})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://dl.example.cn/h5/x?a=1#b",
        "http://127.0.0.1:8600/h5/x",
        "http://localhost/x",
        "http://[::1]:8600/x",
        "https://a.cn/" + "x" * (LONGEST_URL - 13),
    ],
)
def test_an_address_that_a_card_may_open(url):
    assert url_problem(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://dl.example.cn/x",
        "http://127.0.0.1.example.cn/x",
        "javascript:alert(1)",
        "https:///x",
        "https://user:pw@dl.example.cn/",
        "https://dl.example.cn/a b",
        "https://dl.example.cn/\n",
        "https://供电.cn/",
        "https://dl.example.cn:99999/",
        "https://[::1/",
        "//dl.example.cn/x",
        "https://a.cn/" + "x" * (LONGEST_URL - 12),
    ],
)
def test_an_address_that_a_card_may_not_open(url):
    assert url_problem(url) != ""


KIND_FAULTS = [
    ('title = "电费账单通知"', "", "(top)", "title"),
    ("legal = false", 'legal = "no"', "(top)", "legal"),
    ("legal = false", "legal = false\nsurprise = 1", "(top)", "surprise"),
    ('priority = "normal"', 'priority = "urgent"', "(top)", "priority"),
    ("time_to_live_h = 72", "time_to_live_h = 0", "(top)", "time_to_live_h"),
    ("time_to_live_h = 72", "time_to_live_h = true", "(top)", "time_to_live_h"),
    ('kind = "arrears_bill"', 'kind = "other"', "(top)", "kind"),
    ('type = "amount"', 'type = "money"', "keywords[1]", "type"),
    ('label = "应缴"', 'label = "应 缴"', "keywords[1]", "label"),
    ('sample = "86.40元"', 'sample = "八十六元"', "keywords[1]", "sample"),
    ('sample = "86.40元"', 'sample = "86.40元"\ncolor = "red"', "keywords[1]", "color"),
    ('sample = "张*"', 'sample = "张*"\nallowed = ["张*"]', "keywords[0]", "allowed"),
    ('sample = "张*"', 'sample = "张*"\nmax_length = 5', "keywords[0]", "max_length"),
    ('type = "thing"', 'type = "short_thing"', "keywords[0]", "sample"),
    ('name = "amount_due"', 'name = "customer_name"', "(top)", "keywords"),
]


@pytest.mark.parametrize(("old", "new", "table", "field"), KIND_FAULTS)
def test_a_faulty_kind_file_is_refused_by_file_table_and_field(folders, old, new, table, field):
    assert KIND.count(old) == 1
    (folders[0] / "arrears_bill.toml").write_text(KIND.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Registry.load(*folders)
    assert caught.value.context == {"file": "arrears_bill.toml", "table": table, "field": field}


ACCOUNT_FAULTS = [
    ('appid = "wx1234567890abcdef"', 'appid = "gh_123"', "(top)", "appid"),
    ('name = "测试公众号"', "", "(top)", "name"),
    ('name = "测试公众号"', 'name = "测"\nsecret = "x"', "(top)", "secret"),
    ("-0000000000000000000000000000000001", "", "templates.arrears_bill", "template_id"),
    ('amount_due = "amount2"', "", "templates.arrears_bill.keys", "amount_due"),
    ('"amount2"', '"thing2"', "templates.arrears_bill.keys", "amount_due"),
    ('"amount2"', '"money2"', "templates.arrears_bill.keys", "amount_due"),
    ('"amount2"', '"amount2"\nextra = "thing9"', "templates.arrears_bill.keys", "extra"),
]


@pytest.mark.parametrize(("old", "new", "table", "field"), ACCOUNT_FAULTS)
def test_a_faulty_account_file_is_refused_by_file_table_and_field(folders, old, new, table, field):
    assert ACCOUNT.count(old) == 1
    (folders[1] / "main.toml").write_text(ACCOUNT.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Registry.load(*folders)
    assert caught.value.context == {"file": "main.toml", "table": table, "field": field}


def test_a_map_for_an_unknown_kind_is_refused(folders):
    (folders[1] / "main.toml").write_text(
        ACCOUNT.replace("arrears_bill", "lottery"), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="not a known message kind"):
        Registry.load(*folders)


def test_one_key_cannot_carry_two_fields(folders):
    kind = KIND.replace('type = "amount"', 'type = "thing"')
    (folders[0] / "arrears_bill.toml").write_text(kind, encoding="utf-8")
    account = ACCOUNT.replace("amount2", "thing4")
    (folders[1] / "main.toml").write_text(account, encoding="utf-8")
    with pytest.raises(ConfigError, match="a second time"):
        Registry.load(*folders)


def _many_kinds(folders, count, template_id="TEMPLATE-{:034d}"):
    messages, accounts = folders
    (messages / "arrears_bill.toml").unlink()
    account = 'appid = "wx1234567890abcdef"\nname = "测试"\n'
    for number in range(count):
        name = f"kind_{number}"
        (messages / f"{name}.toml").write_text(
            KIND.replace('"arrears_bill"', f'"{name}"'), encoding="utf-8"
        )
        account += (
            f'[templates.{name}]\ntemplate_id = "{template_id.format(number)}"\n'
            f'[templates.{name}.keys]\ncustomer_name = "thing4"\namount_due = "amount2"\n'
        )
    (accounts / "main.toml").write_text(account, encoding="utf-8")


def test_an_account_uses_at_most_25_templates(folders):
    _many_kinds(folders, 25)
    assert len(Registry.load(*folders).kinds()) == 25


def test_a_26th_template_is_refused(folders):
    _many_kinds(folders, 26)
    with pytest.raises(ConfigError, match="at most 25"):
        Registry.load(*folders)


def test_kinds_with_the_same_card_may_share_a_template(folders):
    _many_kinds(folders, 26, template_id="TEMPLATE-SHARED-0000000000")
    assert len(Registry.load(*folders).kinds()) == 26


def test_kinds_with_different_cards_may_not_share_a_template(folders):
    _many_kinds(folders, 2, template_id="TEMPLATE-SHARED-0000000000")
    file = folders[0] / "kind_1.toml"
    text = file.read_text(encoding="utf-8").replace("电费账单通知", "别的标题")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="another card"):
        Registry.load(*folders)


def test_two_files_for_one_account_are_refused(folders):
    shutil.copy(folders[1] / "main.toml", folders[1] / "second.toml")
    with pytest.raises(ConfigError) as caught:
        Registry.load(*folders)
    assert caught.value.context["file"] == "second.toml"


def test_a_missing_folder_and_a_broken_file_are_named(folders, tmp_path):
    with pytest.raises(ConfigError, match="templates_missing"):
        Registry.load(tmp_path / "nowhere", folders[1])
    (folders[0] / "arrears_bill.toml").write_text("kind = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"templates_unreadable.*arrears_bill\.toml"):
        Registry.load(*folders)
    (folders[0] / "arrears_bill.toml").write_text("keywords = 3\nkind='arrears_bill'", "utf-8")
    with pytest.raises(ConfigError, match="must be a list of tables"):
        Registry.load(*folders)


def test_shipped_files_hold_nothing_but_the_known_types():
    for file in MESSAGES.glob("*.toml"):
        for keyword in tomllib.loads(file.read_text(encoding="utf-8"))["keywords"]:
            assert keyword["type"] in set(KeywordType)
    assert [file.name for file in ACCOUNTS.iterdir()] == ["demo.toml"]
