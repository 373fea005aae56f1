// One phone: its frame, chat list, chat and the web page that a link opens inside it.
import { act, get, post } from "./api.js";
import { accountName, avatar, drawItem, tabOf } from "./bubbles.js";
import { Composer } from "./composer.js";
import { clockText, el, icon, toast } from "./dom.js";
import { emit, hide, label, sandboxNow, store } from "./store.js";

const DRAWN = 60;
const TABS = [["wechat", "公众号"], ["sms", "短信"], ["mail", "邮件"]];
const EMPTY = { wechat: "还没有消息", sms: "还没有短信", mail: "还没有邮件" };

export class PhoneFrame {
  constructor(openid) {
    this.openid = openid;
    this.items = [];
    this.isLoaded = false;
    this.wanted = DRAWN;
    this.tab = "wechat";
    this.view = "chat";
    this.loading = null;
    this.unread = () => TABS.reduce((sum, [tab]) => sum + this.unreadIn(tab), 0);
    this.composer = new Composer(this);
    this.build();
    this.draw();
    this.refresh();
  }

  get phone() {
    return store.phones.get(this.openid) ?? { openid: this.openid, name: "", role: "" };
  }

  build() {
    this.title = el("h2", {});
    this.back = el("button.icon-button", { type: "button", title: "返回", "aria-label": "返回", onclick: () => this.goBack() }, icon("back"));
    this.more = el("button.icon-button", { type: "button" });
    this.time = el("time");
    this.tabRow = el("div.tabs", { role: "tablist", "aria-label": "会话" });
    this.list = el("ol.messages", { "aria-live": "polite", tabIndex: 0, "aria-label": "消息" });
    this.chats = el("div.chats");
    this.web = el("div.web");
    this.sheet = el("div.sheet", { hidden: true });
    this.caption = el("div.caption");
    this.root = el("section.phone", { data: { openid: this.openid }, onkeydown: (event) => this.onKey(event) },
      this.caption,
      el("div.screen", {},
        el("div.statusbar", {}, this.time, el("span.mock", {}, "模拟"), el("span.bars", { "aria-hidden": "true" })),
        el("div.navbar", {}, this.back, this.title, this.more),
        this.tabRow, this.chats, this.list, this.web, this.composer.root, this.sheet));
  }

  draw() {
    const { phone } = this;
    const name = label(phone);
    this.root.setAttribute("aria-label", `${name}的手机（模拟）`);
    this.root.dataset.view = this.view;
    this.root.dataset.tab = this.tab;
    this.caption.replaceChildren(
      el("strong", {}, name),
      phone.role ? el("span.role", {}, phone.role) : "",
      el(`span.state.${phone.following ? "yes" : "no"}`, {}, phone.following ? "已关注" : "未关注"),
      el("button.icon-button", { type: "button", title: "收起这部手机", "aria-label": `收起${name}的手机`, onclick: () => hide(this.openid) }, icon("close")));
    this.tick();
    const account = accountName();
    this.title.textContent = { chats: "消息", web: this.webTitle ?? "网页" }[this.view]
      ?? { wechat: account, sms: "短信", mail: "邮件" }[this.tab];
    this.back.disabled = this.view === "chats";
    this.drawMore();
    this.drawTabs();
    this.drawChats(account);
    this.composer.draw(phone);
  }

  /** The time in the corner; the page calls it twice a second. */
  tick() {
    this.time.textContent = clockText(sandboxNow());
  }

  drawMore() {
    const isWeb = this.view === "web";
    const text = isWeb ? "刷新网页" : "更多";
    this.more.replaceChildren(icon(isWeb ? "reload" : "more"));
    this.more.title = text;
    this.more.setAttribute("aria-label", text);
    this.more.onclick = () => (isWeb ? this.reloadWeb() : this.composer.showProfile());
  }

  drawTabs() {
    this.tabRow.replaceChildren(...TABS.map(([tab, text]) => el("button", {
      type: "button",
      role: "tab",
      "aria-selected": String(this.tab === tab && this.view === "chat"),
      onclick: () => this.enter(tab),
    }, text, this.unreadIn(tab) ? el("span.badge", {}, String(this.unreadIn(tab))) : null)));
  }

  drawChats(account) {
    this.chats.replaceChildren(...TABS.map(([tab, text]) => {
      const last = this.items.findLast((item) => tabOf(item) === tab);
      return el("button.chat-row", { type: "button", onclick: () => this.enter(tab) },
        tab === "wechat" ? avatar("account", account) : el(`span.avatar.${tab}`, { "aria-hidden": "true" }, icon(tab)),
        el("span.chat-name", {}, tab === "wechat" ? account : text),
        el("span.chat-last", {}, last ? last.title || last.text : EMPTY[tab]),
        el("time", {}, last ? clockText(last.at) : ""),
        this.unreadIn(tab) ? el("span.badge", {}, String(this.unreadIn(tab))) : null);
    }));
  }

  unreadIn(tab) {
    const seen = store.seen.get(`${this.openid} ${tab}`) ?? 0;
    return this.items.filter((item) => tabOf(item) === tab && item.kind !== "sent" && item.number > seen).length;
  }

  enter(tab) {
    this.tab = tab;
    this.view = "chat";
    this.web.replaceChildren();
    this.drawList();
    this.draw();
  }

  goBack() {
    if (this.view === "web") {
      this.enter(this.tab);
    } else {
      this.view = "chats";
      this.draw();
    }
  }

  onKey(event) {
    if (event.key !== "Escape") return;
    if (!this.sheet.hidden) this.composer.closeSheet();
    else if (this.view === "web") this.goBack();
  }

  /** Fetch what is new; calls that come while one runs are answered by one more. */
  refresh() {
    if (this.loading) {
      this.again = true;
      return;
    }
    this.loading = this.fetchNew().catch(() => {}).finally(() => {
      this.loading = null;
      if (this.again) {
        this.again = false;
        this.refresh();
      }
    });
  }

  async fetchNew() {
    const isFirst = !this.isLoaded;
    const after = this.items.at(-1)?.number ?? 0;
    const { items } = await get("/sandbox/inbox", { openid: this.openid, after, last: this.wanted });
    this.isLoaded = true;
    if (isFirst) {
      // What was there before the page is not news.
      for (const [tab] of TABS) this.markSeen(tab, items);
      this.items = items;
      this.drawList();
    } else if (items.length) {
      this.items = [...this.items, ...items];
      this.append(items);
    }
    this.draw();
    emit("unread");
  }

  markSeen(tab, items = this.items) {
    const last = items.findLast((item) => tabOf(item) === tab);
    if (last) store.seen.set(`${this.openid} ${tab}`, last.number);
  }

  drawList() {
    this.markSeen(this.tab);
    const mine = this.items.filter((item) => tabOf(item) === this.tab);
    const drawn = mine.slice(-this.wanted);
    this.list.replaceChildren(...drawn.flatMap((item, index) => this.drawn(item, drawn[index - 1])));
    if (this.items.length >= this.wanted) {
      this.list.prepend(el("li.centre", {}, el("button.link", { type: "button", onclick: () => this.loadEarlier() }, "更早的消息")));
    }
    if (!mine.length) this.list.append(this.emptyScreen());
    this.list.scrollTop = this.list.scrollHeight;
  }

  drawn(item, before) {
    return drawItem(item, before, (url, program) => this.open(url, program), label(this.phone));
  }

  /** Who does not follow yet sees the account's card, as a scanned code shows it. */
  emptyScreen() {
    if (this.tab !== "wechat" || this.phone.following) return el("li.centre.empty", {}, EMPTY[this.tab]);
    const name = accountName();
    return el("li.empty.visit", {}, avatar("account", name), el("strong", {}, name),
      el("span.faint", {}, "服务号（模拟）"), el("p.faint", {}, "关注以后，应用会收到关注事件，这里就能收到消息。"));
  }

  append(items) {
    const isNear = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 120;
    const fresh = items.filter((item) => tabOf(item) === this.tab);
    if (!fresh.length) return;
    if (this.view === "chat") this.markSeen(this.tab);
    this.list.querySelector(".empty")?.remove();
    let before = this.items.filter((item) => tabOf(item) === this.tab && item.number < fresh[0].number).at(-1);
    for (const item of fresh) {
      this.list.append(...this.drawn(item, before));
      before = item;
    }
    if (isNear || fresh.some((item) => item.kind === "sent")) this.list.scrollTop = this.list.scrollHeight;
  }

  async loadEarlier() {
    this.wanted += DRAWN * 2;
    const { items } = await get("/sandbox/inbox", { openid: this.openid, last: this.wanted });
    const height = this.list.scrollHeight;
    this.items = items;
    this.drawList();
    this.list.scrollTop = this.list.scrollHeight - height;
  }

  /** A tap on a link: the page opens inside this frame, logged in as this phone. */
  async open(url, program) {
    if (!url && program) {
      toast(`小程序 ${program.appid}${program.pagepath ? ` ${program.pagepath}` : ""}：沙箱不运行小程序`);
      return;
    }
    const { address } = await post("/sandbox/frame", { openid: this.openid, url });
    this.webAddress = address;
    this.webTitle = "正在打开";
    this.view = "web";
    const frame = el("iframe", {
      src: address,
      title: `${label(this.phone)}打开的网页`,
      referrerPolicy: "no-referrer",
      onload: () => this.nameWeb(),
    });
    // The application's page must not be able to replace this one.
    frame.setAttribute("sandbox", "allow-forms allow-scripts allow-same-origin allow-modals");
    this.web.replaceChildren(frame);
    this.draw();
  }

  /** The page's own title; the frame is of another origin, so the sandbox is asked for it. */
  async nameWeb() {
    const { title } = await get("/sandbox/frame", { openid: this.openid });
    this.webTitle = title || "网页";
    this.draw();
  }

  reloadWeb() {
    this.web.querySelector("iframe").src = this.webAddress;
  }

  act(action, values) {
    return act(this.openid, action, values);
  }
}
