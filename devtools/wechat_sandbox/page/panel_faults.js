// The fault panel: presets, a form by kind, the rules that run with their hits.
import { post, remove } from "./api.js";
import { el, toast } from "./dom.js";
import { on } from "./store.js";
import { FAULTS } from "./words.js";

const SEND = "/cgi-bin/message/template/send";
const SMS = "/sms/";
const PRESETS = {
  "微信接口": [
    ["45009 额度用完", { kind: "errcode", scope: SEND, errcode: 45009, next_n: 1 }],
    ["43101 用户拒收", { kind: "errcode", scope: SEND, errcode: 43101, next_n: 1 }],
    ["43004 未关注", { kind: "errcode", scope: SEND, errcode: 43004, next_n: 1 }],
    ["40001 token 失效", { kind: "errcode", scope: SEND, errcode: 40001, next_n: 1 }],
    ["-1 系统繁忙", { kind: "errcode", errcode: -1, next_n: 1 }],
    ["发出但不应答", { kind: "timeout", scope: SEND, seconds: 6, acts: true, next_n: 1 }],
    ["连接重置", { kind: "reset", next_n: 1 }],
  ],
  "回调和回执": [
    ["回调重复", { kind: "duplicate_callback", next_n: 1 }],
    ["回调丢失", { kind: "lost_callback", next_n: 1 }],
    ["回调签名错误", { kind: "bad_signature", next_n: 1 }],
    ["回调迟到 5 秒", { kind: "late_callback", seconds: 5, next_n: 1 }],
    ["回执：用户拒收", { kind: "receipt_status", receipt_status: "failed:user block", next_n: 1 }],
  ],
  "短信和邮件": [
    ["短信余额不足", { kind: "errcode", scope: SMS, errmsg: "isv.AMOUNT_NOT_ENOUGH", next_n: 1 }],
    ["短信回执：没送到", { kind: "report_code", receipt_status: "MK:0001", next_n: 1 }],
    ["邮件 550 退信", { kind: "smtp_reply", scope: "RCPT", status: 550, errmsg: "5.1.1 unknown", next_n: 1 }],
    ["邮件 451 稍后再试", { kind: "smtp_reply", scope: "RCPT", status: 451, errmsg: "4.3.0 try again later", next_n: 1 }],
  ],
};
const SCOPES = ["*", SEND, "/cgi-bin/message/custom/send", "/cgi-bin/stable_token", "/sns/oauth2/access_token", SMS, "subscribe", "text", "CLICK", "TEMPLATESENDJOBFINISH", "SmsReport", "RCPT", "DATA", "CONTENT"];
const FIELDS = {
  errcode: ["errcode", "errmsg", "acts"], http_error: ["status", "acts"], timeout: ["seconds", "acts"],
  slow: ["seconds"], reset: ["acts"], late_callback: ["seconds"], receipt_status: ["receipt_status"],
  report_code: ["receipt_status"], smtp_reply: ["status", "errmsg"], smtp_slow: ["seconds"],
};

export function faultPanel(root, button) {
  const kind = el("select", { "aria-label": "故障种类" });
  const scope = el("input", { type: "text", value: "*", "aria-label": "范围", list: "fault-scopes" });
  const scopes = el("datalist", { id: "fault-scopes" }, ...SCOPES.map((value) => el("option", { value })));
  const how = el("select", { "aria-label": "次数还是比例" }, el("option", { value: "next_n" }, "接下来几次"), el("option", { value: "percent" }, "按百分比"));
  const amount = el("input", { type: "number", min: 1, max: 100000, value: 1, "aria-label": "几次或百分之几" });
  const extras = {
    errcode: field("错误码", el("input", { type: "number", value: 45009 })),
    errmsg: field("说明（短信：错误码）", el("input", { type: "text" })),
    status: field("状态码", el("input", { type: "number", value: 502 })),
    seconds: field("秒数", el("input", { type: "number", value: 6, step: "any" })),
    receipt_status: field("回执状态", el("input", { type: "text", value: "failed: system failed" })),
    acts: field("照做但不告诉应用", el("input", { type: "checkbox" })),
  };
  const rules = el("ul.rules", {});
  const hits = el("p.hint", {});

  const showFields = () => {
    for (const [name, { row }] of Object.entries(extras)) row.hidden = !FIELDS[kind.value]?.includes(name);
  };
  kind.onchange = showFields;

  const add = async (rule) => {
    await post("/sandbox/faults", rule);
    toast(`已加入故障：${FAULTS[rule.kind]}`);
  };
  const form = el("form.fault-form", {
    onsubmit: (event) => {
      event.preventDefault();
      const rule = { kind: kind.value, scope: scope.value || "*", [how.value]: Number(amount.value) };
      for (const name of FIELDS[kind.value] ?? []) {
        const { input } = extras[name];
        rule[name] = input.type === "checkbox" ? input.checked : input.type === "number" ? Number(input.value) : input.value;
      }
      add(rule);
    },
  },
  el("label", {}, "种类", kind), el("label", {}, "范围", scope), scopes,
  el("label", {}, "触发", how), el("label", {}, "数值", amount),
  ...Object.values(extras).map(({ row }) => row),
  el("button.primary", { type: "submit" }, "加入"));

  const all = el("button", { type: "button", onclick: () => remove("/sandbox/faults") }, "全部移除");
  root.append(el("div.columns", {},
    el("div", {},
      el("div.presets", {}, ...Object.entries(PRESETS).flatMap(([title, presets]) => [
        el("h3", {}, title),
        el("div.chips", {}, ...presets.map(([text, made]) => el("button.chip", { type: "button", title: "下一次就出", onclick: () => add(made) }, text))),
      ])),
      el("h3", {}, "自定义"), form),
    el("div", {},
      el("h3", {}, "生效中的规则"), rules, hits,
      all)));

  on("about", () => {
    kind.replaceChildren(...Object.entries(FAULTS).map(([name, words]) => el("option", { value: name }, words)));
    showFields();
  });
  on("faults", ({ listed, hits: counts }) => {
    rules.replaceChildren(...listed.map(rule));
    all.hidden = !listed.length;
    if (!listed.length) rules.append(el("li.hint", {}, "没有规则，一切正常。点左边的一个，下一次调用就会出这个故障。"));
    const said = Object.entries(counts).map(([name, count]) => `${FAULTS[name] ?? name} ${count} 次`);
    hits.textContent = said.length ? `已命中：${said.join("，")}` : "";
    button.replaceChildren("故障", ...(listed.length ? [el("span.badge", {}, String(listed.length))] : []));
  });
}

function field(text, input) {
  return { input, row: el("label", { hidden: true }, text, input) };
}

function detailOf({ kind, scope, errcode, errmsg, status, seconds, receipt_status: receipt }) {
  if (kind === "errcode") return scope === SMS ? errmsg : errcode;
  if (["http_error", "smtp_reply"].includes(kind)) return status;
  if (["receipt_status", "report_code"].includes(kind)) return receipt;
  return FIELDS[kind]?.includes("seconds") ? `${seconds} 秒` : "";
}

function rule(entry) {
  const detail = detailOf(entry);
  const left = entry.next_n ? `还剩 ${entry.next_n} 次` : `${entry.percent}%`;
  return el("li", { data: { kind: entry.kind } },
    el("strong", {}, FAULTS[entry.kind] ?? entry.kind), detail ? ` ${detail}` : "",
    el("span.faint", {}, ` ${entry.scope === "*" ? "全部" : entry.scope} · ${left} · 命中 ${entry.hits} 次`),
    el("button", { type: "button", "aria-label": `移除${FAULTS[entry.kind]}`, onclick: () => remove(`/sandbox/faults?number=${entry.number}`) }, "移除"));
}
