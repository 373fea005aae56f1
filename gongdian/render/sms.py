"""Text messages of a kind (短信文案): the provider's approved template and how our fields fill it.

Called by account maps and the registry. A text is written as it was approved, with ``${name}``
for what varies. The provider takes no address in a variable, so the link stands in the text and
only its last part, ``${ref}``, varies.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from gongdian.channels import segments, signed_text
from gongdian.errors import InputError
from gongdian.render.tables import Table

REFERENCE = "ref"
MOST_SEGMENTS = 2
_LONGEST_SIGNATURE = "签" * 12
_SAMPLE_REFERENCE = "Ab3xY9kQ"
_REFERENCE_TEXT = re.compile(r"[A-Za-z0-9_-]{1,16}")
_VARIABLE = re.compile(r"\$\{([a-z][a-z0-9_]{0,29})\}")


@dataclass(frozen=True, slots=True)
class SmsMap:
    """How one account sends one kind as a text message: variable of the template -> our field."""

    template_code: str
    params: Mapping[str, str]
    text: str

    @property
    def has_link(self) -> bool:
        """Whether the text ends in a link whose last part the caller gives."""
        return REFERENCE in _VARIABLE.findall(self.text)


@dataclass(frozen=True, slots=True)
class ComposedSms:
    """What the provider is sent, and ``text`` as the recipient reads it, without signature."""

    template_code: str
    params: dict[str, str]
    text: str


def read_sms(table: Table, samples: Mapping[str, str]) -> SmsMap:
    """One ``[sms.<kind>]`` table; ``samples`` has a sample value for each field of the kind.

    Raises ConfigError naming file, table and field.
    """
    code = table.text("template_code", r"SMS_[0-9]{3,20}")
    text = table.text("text", r"[^\n\r【】]{1,500}")
    params_table = table.child("params")
    table.close()
    params: dict[str, str] = {}
    for variable in params_table.names():
        params[variable] = params_table.text(variable)
        if params[variable] not in samples:
            params_table.refuse(variable, "is no field of this kind")
    if set(_VARIABLE.findall(text)) - {REFERENCE} != set(params) or REFERENCE in params:
        table.refuse("text", "must use every variable of params, and none but those and ${ref}")
    if "$" in _VARIABLE.sub("", text):
        table.refuse("text", "has a $ that begins no variable")
    sms = SmsMap(code, params, text)
    sample = compose_sms(sms, samples, _SAMPLE_REFERENCE)
    if segments(signed_text(_LONGEST_SIGNATURE, sample.text)) > MOST_SEGMENTS:
        table.refuse("text", f"takes more than {MOST_SEGMENTS} segments with the sample values")
    return sms


def compose_sms(sms: SmsMap, values: Mapping[str, str], reference: str = "") -> ComposedSms:
    """Fill the template. ``reference`` is the last part of the link, when the text has one.

    Raises InputError for a missing value or a reference that is none.
    """
    missing = [field for field in sms.params.values() if field not in values]
    if missing:
        raise InputError("sms_fields_missing", ", ".join(missing))
    params = {variable: sms_value(values[field]) for variable, field in sms.params.items()}
    if sms.has_link:
        if not _REFERENCE_TEXT.fullmatch(reference):
            raise InputError("sms_reference_invalid", "1 to 16 letters, digits, - or _")
        params[REFERENCE] = reference
    text = _VARIABLE.sub(lambda found: params[found[1]], sms.text)
    return ComposedSms(sms.template_code, params, text)


def sms_value(text: str) -> str:
    """A value as text messages take it: one line, Ⅱ as II, no 【】 (they mark the signature)."""
    plain = "".join(
        unicodedata.normalize("NFKC", one) if "\u2160" <= one <= "\u217f" else one
        for one in text.replace("【", "（").replace("】", "）")
    )
    return " ".join(plain.split())
