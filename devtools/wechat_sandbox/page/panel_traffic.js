// The traffic inspector: calls in both directions as they happen, and one of them in full.
import { get, post } from "./api.js";
import { copy, el, exactText, icon, toast } from "./dom.js";
import { pretty } from "./pretty.js";
import { label, on, store } from "./store.js";
import { codeOf, faultText, isBad, isRefused, namesOf, noteText, phoneOf, wayOf } from "./words.js";

const KEPT = 400;

export function trafficPanel(root, button) {
  const panel = new Traffic(root, button);
  return () => panel.fetch();
}

class Traffic {
  constructor(root, button) {
    this.root = root;
    this.button = button;
    this.entries = [];
    this.chosen = 0;
    this.last = 0;
    this.text = el("input", { type: "search", placeholder: "筛选：姓名、路径、事件、内容", "aria-label": "筛选流量", oninput: () => this.draw() });
    this.way = el("select", { "aria-label": "方向", onchange: () => this.draw() },
      el("option", { value: "" }, "两个方向"),
      el("option", { value: "in" }, "应用 → 平台"),
      el("option", { value: "out" }, "平台 → 应用"));
    this.onlyBad = el("input", { type: "checkbox", onchange: () => this.draw() });
    this.body = el("tbody");
    this.detail = el("div.detail", {});
    this.empty = el("p.hint", {}, "还没有流量。应用调用接口、手机上有人操作，都会出现在这里。");
    root.append(
      el("div.traffic", {},
        el("div.traffic-list", {},
          el("div.tools", {}, this.text, this.way, el("label", {}, this.onlyBad, " 只看异常"),
            el("button", { type: "button", onclick: () => this.clear() }, "清空显示"),
            el("span.hint.wide-only", {}, "点一行看完整内容：格式化、解密、复制为 curl、重放")),
          el("div.scroll", {},
            el("table", {},
              el("thead", {}, el("tr", {}, ...["时间", "方向", "手机", "调用", "结果", "耗时", "备注"].map((name) => el("th", { scope: "col" }, name)))),
              this.body),
            this.empty)),
        this.detail));
    on("traffic", ({ last }) => {
      if (last < this.last) this.forget();
      this.last = last;
      this.fetch();
    });
    // A name is shown where a phone is known, so a new phone may name what is there already.
    on("phones", () => {
      if (this.known !== store.phones.size) this.draw();
    });
  }

  forget() {
    this.entries = [];
    this.hiddenBelow = 0;
    this.close();
    this.draw();
  }

  clear() {
    this.hiddenBelow = this.last;
    this.close();
    this.draw();
  }

  async fetch() {
    if (this.busy) {
      this.again = true;
      return;
    }
    this.busy = true;
    const { entries } = await get("/sandbox/traffic", { after: this.entries.at(-1)?.number ?? 0, limit: KEPT })
      .finally(() => { this.busy = false; });
    this.entries = [...this.entries, ...entries].slice(-KEPT);
    if (entries.length) this.draw();
    if (this.again) {
      this.again = false;
      this.fetch();
    }
  }

  shows(entry, wanted) {
    if (entry.number <= (this.hiddenBelow ?? 0)) return false;
    if (this.way.value && entry.direction !== this.way.value) return false;
    if (this.onlyBad.checked && !isBad(entry)) return false;
    const words = [entry.url, entry.note, entry.request, entry.response, personOf(entry), ...namesOf(entry)];
    return !wanted || words.join(" ").toLowerCase().includes(wanted);
  }

  draw() {
    this.known = store.phones.size;
    const wanted = this.text.value.trim().toLowerCase();
    const shown = this.entries.filter((entry) => this.shows(entry, wanted));
    this.body.replaceChildren(...shown.reverse().map((entry) => this.row(entry)));
    this.empty.hidden = shown.length > 0;
    const bad = shown.filter(isBad).length;
    this.button.replaceChildren("流量", ...(bad ? [el("span.badge", { title: "异常的调用" }, String(bad))] : []));
  }

  row(entry) {
    const open = () => this.open(entry.number);
    const [name, technical] = namesOf(entry);
    const fault = faultText(entry);
    return el("tr", {
      data: { number: entry.number, bad: String(isRefused(entry)), fault: String(Boolean(fault)) },
      tabIndex: 0,
      "aria-selected": String(entry.number === this.chosen),
      onclick: open,
      onkeydown: (event) => { if (event.key === "Enter") open(); },
    },
    el("td.when.mono", {}, exactText(entry.at)),
    el(`td.way.${entry.direction}`, {}, wayOf(entry)),
    el("td.who", {}, personOf(entry)),
    el("td.call", {}, el("strong", {}, name), " ", el("span.faint.mono", {}, technical)),
    el("td.result", {}, resultText(entry)),
    el("td.took.mono.right", {}, `${entry.took_ms < 10 ? entry.took_ms.toFixed(1) : Math.round(entry.took_ms)} ms`),
    el("td.note", {}, fault ? el("span.flag", {}, fault) : "", fault ? " " : "", noteText(entry)));
  }

  close() {
    this.chosen = 0;
    delete this.root.dataset.detail;
    this.detail.replaceChildren();
    for (const row of this.body.children) row.setAttribute("aria-selected", "false");
  }

  async open(number) {
    this.chosen = number;
    for (const row of this.body.children) row.setAttribute("aria-selected", String(Number(row.dataset.number) === number));
    const entry = await get("/sandbox/traffic/entry", { number });
    if (this.chosen !== number) return;
    const isCall = Boolean(entry.curl);
    this.root.dataset.detail = "open";
    this.detail.replaceChildren(
      el("header", {},
        el("strong", {}, namesOf(entry)[0], el("span.faint", {}, ` ${[personOf(entry), resultText(entry)].filter(Boolean).join(" · ")}`)),
        isCall && el("button", { type: "button", onclick: () => copy(entry.curl, " curl 命令") }, "复制为 curl"),
        isCall && el("button", { type: "button", disabled: !entry.is_whole, title: entry.is_whole ? "原样再发一次" : "内容被截断，不能重放", onclick: () => this.replay(number) }, "重放"),
        el("button.icon-button", { type: "button", title: "关闭", "aria-label": "关闭详情", onclick: () => this.close() }, icon("close"))),
      el("p.mono.address", { tabIndex: 0 }, `${entry.method} ${entry.url}`),
      el("div.bodies", {},
        ...blocks(isCall ? "请求" : "对话", entry.request, entry.request_inner),
        ...(isCall || entry.response ? blocks(entry.status ? "应答" : "没有应答", entry.response, entry.response_inner) : [])));
  }

  async replay(number) {
    const { status } = await post("/sandbox/traffic/replay", { number });
    toast(status ? `已重放，返回 ${status}` : "已重放，没有应答", !status);
  }
}

const resultText = (entry) => (entry.status ? [entry.status, codeOf(entry)].filter(Boolean).join(" · ") : "无应答");

function personOf(entry) {
  const phone = phoneOf(entry, store.phones);
  return phone ? label(phone) : "";
}

/** What was said, pretty; of an encrypted document the inner one first, it is the one to read. */
function blocks(title, body, inner) {
  const block = (name, text) => el("figure", {}, el("figcaption", {}, name), el("pre", { tabIndex: 0 }, pretty(text) || "（空）"));
  return inner ? [block(`${title}（解密后）`, inner), block(`${title}（密文）`, body)] : [block(title, body)];
}
