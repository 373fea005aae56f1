"""The county's places and wires (户变关系): substations, 10 kV lines, public transformers."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

TRANSFORMER_KVA = (100, 200, 200, 315, 400, 400, 500, 630)
# 20,000 low-voltage customers of the sample hang on about this many public transformers.
TRANSFORMERS = 420
PER_VILLAGE = 2


@dataclass(frozen=True, slots=True)
class Township:
    """What one 供电所 serves. ``villages`` maps a village to the line that feeds it."""

    station: str
    town: str
    substation: str
    weight: int
    villages: dict[str, str]

    @property
    def lines(self) -> list[str]:
        """The 10 kV lines that leave its substation."""
        return list(dict.fromkeys(self.villages.values()))


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where a supply point hangs; a customer with an own transformer has its name here."""

    station: str
    town: str
    village: str
    substation: str
    line: str
    transformer: str
    transformer_kva: int


def _township(name: str, town: str, substation: str, weight: int, villages: str) -> Township:
    pairs = (entry.split("/") for entry in villages.split())
    return Township(
        f"{name}供电所",
        town,
        substation,
        weight,
        {village: f"10kV{line}" for village, line in pairs},
    )


TOWNSHIPS = (
    _township(
        "城关",
        "城关镇",
        "110kV城关变",
        30,
        "东关村/城东Ⅱ线512 东门社区/城东Ⅰ线511 西关村/城西线513 南门社区/城南线514"
        " 北门社区/城北线515 滨河社区/滨河线516 人民路社区/人民线517 医院路社区/医院线518",
    ),
    _township(
        "开发区",
        "新桥镇",
        "110kV工业园变",
        14,
        "高新社区/园区Ⅰ线521 新桥村/园区Ⅱ线522 大塘村/恒源线523"
        " 科技园社区/科技线524 物流园社区/物流线525",
    ),
    _township(
        "石桥", "石桥镇", "35kV石桥变", 8, "石桥村/石桥线531 双河村/双河线532 桥头村/桥头线533"
    ),
    _township(
        "龙潭", "龙潭镇", "35kV龙潭变", 8, "龙潭村/龙潭线541 黑石村/黑石线542 上坪村/上坪线543"
    ),
    _township(
        "柳林", "柳林镇", "35kV柳林变", 8, "柳林村/柳林线551 杨树村/杨树线552 柳湾村/柳湾线553"
    ),
    _township(
        "清水河",
        "清水河镇",
        "35kV清水河变",
        7,
        "清水村/清水线561 沙洲村/沙洲线562 河口村/河口线563",
    ),
    _township(
        "白鹤", "白鹤乡", "35kV白鹤变", 7, "白鹤村/白鹤线571 茶山村/茶山线572 竹园村/竹园线573"
    ),
    _township("青山", "青山乡", "35kV青山变", 6, "青山村/青山线581 林场村/林场线582"),
    _township("马坪", "马坪镇", "35kV马坪变", 6, "马坪村/马坪线591 枣岗村/枣岗线592"),
    _township("云阳", "云阳镇", "35kV云阳变", 6, "云阳村/云阳线601 古井村/古井线602"),
)
TOWNSHIP_WEIGHTS = [township.weight for township in TOWNSHIPS]
# Far more of the high-voltage customers are in the town and its industrial park.
INDUSTRY_WEIGHTS = [26, 34, 6, 6, 6, 5, 5, 4, 4, 4]


def public_transformers(scale: float, seed: int) -> list[list[Wiring]]:
    """The public transformers of each township, in the order of TOWNSHIPS."""
    total = sum(TOWNSHIP_WEIGHTS)
    return [
        _transformers_of(township, round(TRANSFORMERS * scale * township.weight / total), seed)
        for township in TOWNSHIPS
    ]


def _transformers_of(township: Township, wanted: int, seed: int) -> list[Wiring]:
    rng = Random(f"{seed}:transformers:{township.station}")
    each = max(PER_VILLAGE, round(wanted / len(township.villages)))
    return [
        Wiring(
            township.station,
            township.town,
            village,
            township.substation,
            line,
            f"{village}{number}号公变",
            # The one that everybody's example names.
            400 if (village, number) == ("东关村", 2) else rng.choice(TRANSFORMER_KVA),
        )
        for village, line in township.villages.items()
        for number in range(1, each + 1)
    ]
