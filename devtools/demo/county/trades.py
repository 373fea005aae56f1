"""Trades of the high-voltage customers (行业): their names, sizes, shapes of day and year."""

from __future__ import annotations

from dataclasses import dataclass

from devtools.demo.county import usage

SMALL = (50, 63, 80, 100)
MIDDLE = (100, 125, 160, 200, 250, 315)
LARGE = (315, 400, 500, 630, 800, 1000, 1250, 1600, 2000)
ANY = (80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250)
# Shares of sharp, peak, flat, valley (尖峰平谷) over a month.
DAY_SHIFT = (0.07, 0.24, 0.48, 0.21)
TWO_SHIFTS = (0.08, 0.26, 0.40, 0.26)
ROUND_THE_CLOCK = (0.08, 0.25, 0.34, 0.33)
EVENING = (0.11, 0.34, 0.35, 0.20)
NIGHT = (0.06, 0.19, 0.27, 0.48)


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade. ``kind`` is industry, commerce, public or farm; ``load`` the mean use of the
    capacity, ``names`` the words a name is made of ({town}, {village}, {brand}, {no})."""

    weight: int
    kind: str
    names: tuple[str, ...]
    kva: tuple[int, ...]
    load: float
    power_factor: int
    shares: tuple[float, ...]
    shape: tuple[float, ...]


def _works(
    weight: int,
    products: str,
    kva: tuple[int, ...],
    load: float,
    power_factor: int,
    shares: tuple[float, ...],
    shape: tuple[float, ...],
) -> Trade:
    names = tuple(f"云溪{{brand}}{product}有限公司" for product in products.split())
    return Trade(weight, "industry", names, kva, load, power_factor, shares, shape)


TRADES = (
    _works(12, "铸造 锻造 机械制造 机电", LARGE, 0.34, 91, TWO_SHIFTS, usage.FACTORY),
    _works(9, "纺织 制衣 针织 印染", LARGE, 0.42, 92, ROUND_THE_CLOCK, usage.FACTORY),
    _works(8, "塑业 包装 彩印 橡胶制品", ANY, 0.32, 90, TWO_SHIFTS, usage.FACTORY),
    _works(8, "食品 饲料 粮油 茶业", ANY, 0.28, 91, DAY_SHIFT, usage.FACTORY),
    _works(8, "建材 水泥制品 石材 新型墙材", ANY, 0.26, 87, DAY_SHIFT, usage.BUILDING_SITE),
    _works(6, "木业 家具 竹制品", MIDDLE, 0.24, 86, DAY_SHIFT, usage.FACTORY),
    _works(6, "电子科技 新能源材料 精密模具", LARGE, 0.40, 95, ROUND_THE_CLOCK, usage.FACTORY),
    _works(3, "冷链物流 物流园", LARGE, 0.30, 93, NIGHT, usage.SHOP),
    Trade(
        9,
        "commerce",
        (
            "云溪{brand}商贸城",
            "云溪{brand}大酒店",
            "云溪{brand}购物中心",
            "云溪{brand}汽车销售有限公司",
        ),
        ANY,
        0.26,
        93,
        EVENING,
        usage.SHOP,
    ),
    Trade(
        9,
        "commerce",
        ("云溪{brand}小区{no}号专变（公共设施）", "云溪{brand}物业服务有限公司{no}部"),
        MIDDLE,
        0.22,
        92,
        EVENING,
        usage.SHOP,
    ),
    Trade(
        5,
        "commerce",
        ("云溪{brand}充电站", "{town}{no}号公交充电站"),
        LARGE,
        0.16,
        97,
        NIGHT,
        usage.CHARGING,
    ),
    Trade(
        10,
        "commerce",
        ("{village}{no}号通信基站", "{town}{no}号通信基站"),
        SMALL,
        0.30,
        94,
        ROUND_THE_CLOCK,
        usage.MAST,
    ),
    Trade(
        6,
        "public",
        ("{town}{no}小学", "{town}第{no}中学", "{town}第{no}幼儿园"),
        MIDDLE,
        0.16,
        94,
        DAY_SHIFT,
        usage.SCHOOL,
    ),
    Trade(
        5,
        "public",
        ("{village}村民委员会{no}号专变", "{town}人民政府{no}号专变", "{town}卫生院{no}部"),
        MIDDLE,
        0.18,
        93,
        DAY_SHIFT,
        usage.WARD,
    ),
    Trade(
        4,
        "public",
        ("{village}污水处理{no}站", "{town}{no}号水厂"),
        MIDDLE,
        0.40,
        89,
        ROUND_THE_CLOCK,
        usage.WARD,
    ),
    Trade(
        9,
        "farm",
        ("{village}{no}号排灌站", "{town}{no}号提灌站"),
        SMALL + MIDDLE,
        0.12,
        84,
        (),
        usage.IRRIGATION,
    ),
    Trade(
        8,
        "farm",
        ("云溪{brand}养殖场", "云溪{brand}种猪有限公司", "{village}{brand}农业专业合作社"),
        SMALL + MIDDLE,
        0.24,
        88,
        (),
        usage.BARN,
    ),
    Trade(
        4,
        "commerce",
        ("云溪{brand}工程项目部{no}号施工专变",),
        (250, 315, 400, 500, 630),
        0.18,
        86,
        DAY_SHIFT,
        usage.BUILDING_SITE,
    ),
)
