"""Words from which the county's names are made (人名、地名、企业名): all invented."""

from __future__ import annotations

from random import Random

SURNAMES = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕"
    "苏卢蒋蔡贾丁魏薛叶阎"
)
GIVEN_FIRST = "志建国文玉桂春海秀永明德光家立金红晓美丽俊子思雨宏学新长兴淑素"
GIVEN_LAST = "伟芳娜英敏静强磊军洋勇艳杰娟涛超兰霞平刚云华梅燕林峰斌辉珍琴凤龙波鹏宁"

_BRANDS = """
恒源 鑫达 华盛 金瑞 宏泰 瑞丰 永兴 顺达 天成 德源 万和 盛隆 嘉禾 众信 博远 通达 利民 富源 汇通
新宇 正阳 长青 祥云 东升 凯旋 立信 安泰 佳美 同创 卓越 腾飞 昌盛 海天 江南 兴业 远大 民生 福临
三和 五丰 云峰 龙腾 春晖 裕丰 金鼎 银河 蓝天 绿源 星火 启明
"""
BRANDS = _BRANDS.split()
STREETS = (
    "滨河路",
    "人民路",
    "解放路",
    "建设路",
    "迎宾大道",
    "文化路",
    "新华街",
    "东风路",
    "云溪大道",
    "和平街",
)
ESTATES = (
    "锦绣花园",
    "滨河小区",
    "阳光新城",
    "翠湖苑",
    "御景湾",
    "桂花苑",
    "幸福里",
    "教师新村",
    "金色家园",
    "云溪府",
)
SHOPS = (
    "百货店",
    "小吃店",
    "理发店",
    "五金店",
    "药房",
    "快餐店",
    "服装店",
    "修车铺",
    "网吧",
    "茶馆",
    "粮油店",
    "打印店",
)

# How often each surname occurs, roughly: the first ones are the common ones.
_SURNAME_WEIGHTS = [1 / (place + 4) for place in range(len(SURNAMES))]


def person_name(rng: Random) -> str:
    """A Chinese name of two or three characters."""
    surname = rng.choices(SURNAMES, _SURNAME_WEIGHTS)[0]
    first = rng.choice(GIVEN_FIRST) if rng.random() < 0.86 else ""
    return surname + first + rng.choice(GIVEN_LAST)


def mobile(rng: Random) -> str:
    """A made-up mobile number; all of the county's begin alike."""
    return f"199000{rng.randrange(100_000):05d}"
