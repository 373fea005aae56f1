// Draws what lies in a phone's inbox: bubbles, cards, notices; one element per item.
import { dayText, el, icon, momentText } from "./dom.js";
import { store } from "./store.js";

const GAP_S = 300;

/** Which conversation an item belongs to. */
export const tabOf = (item) => (item.kind === "sms" || item.kind === "mail" ? item.kind : "wechat");

/** What stands on an avatar: the first character of a name, of 小赵 and 老周 the one that counts. */
const initial = (name) => [...name.trim().replace(/^[小老阿](?=.$)/, "")][0] ?? "";
export const accountName = () => store.about.account_name ?? "公众号";

/** The list elements of an item: a time when a while has passed, and the item itself. */
export function drawItem(item, before, open, person) {
  const made = [];
  if (!before || item.at - before.at > GAP_S) {
    made.push(el("li.moment", {}, el("time", {}, momentText(item.at))));
  }
  const data = { number: item.number, kind: item.kind, title: item.title };
  made.push(el(`li.item.${side(item)}`, { data }, content(item, open, person)));
  return made;
}

function side(item) {
  if (item.kind === "notice") return "centre";
  if (item.kind === "sent") return "mine";
  return item.title || item.kind === "mail" ? "wide" : "theirs";
}

function content(item, open, person) {
  if (item.kind === "notice") return el("p.notice", {}, item.text);
  if (item.kind === "mail") return mail(item, open);
  if (item.kind === "sms") return el("p.bubble", {}, ...linked(item.text, open));
  if (item.title && item.kind !== "sent") return card(item, open);
  return [item.kind === "sent" ? avatar("person", person) : avatar("account", accountName()), bubble(item, open)];
}

export const avatar = (kind, name) => el(`span.avatar.${kind}`, { "aria-hidden": "true" }, initial(name));

function bubble(item, open) {
  const extra = item.extra ?? {};
  const draw = {
    image: () => picture(extra),
    voice: () => voice(extra),
    video: () => el("p.bubble.media", {}, icon("play"), "视频"),
    location: () => place(extra),
    link: () => linkCard(extra, open),
    news: () => news(extra, open),
  }[extra.type];
  return draw ? draw() : el("p.bubble", {}, ...linked(item.text || `[${extra.type ?? item.kind}]`, open));
}

function picture(extra) {
  const address = extra.url;
  if (!address) return el("p.bubble.media", {}, icon("image"), "图片");
  const shown = el("img.picture", { src: new URL(address).pathname, alt: "发送的图片" });
  // The sample photo of a script is no real image.
  shown.onerror = () => shown.replaceWith(el("p.bubble.media", {}, icon("image"), "图片"));
  return shown;
}

function voice(extra) {
  const seconds = Number(extra.seconds ?? 1);
  const made = el("p.bubble.voice", { title: `语音 ${seconds} 秒` }, icon("wave"), `${seconds}″`);
  made.style.width = `${Math.min(11, 4.5 + seconds * 0.25)}rem`;
  return made;
}

function place(extra) {
  return el("div.place", {},
    el("p", {}, extra.label || "位置"),
    el("p.faint", {}, `${extra.latitude}，${extra.longitude}`),
    el("div.map", { "aria-hidden": "true" }, icon("place")));
}

function linkCard(extra, open) {
  return el("button.linkcard", { type: "button", onclick: () => open(extra.url) },
    el("strong", {}, extra.title), el("span.faint", {}, extra.description));
}

function news(extra, open) {
  const items = [extra.Articles?.item ?? []].flat();
  return el("div.news", {}, ...items.map((article) => el("button.linkcard", {
    type: "button", onclick: () => open(article.Url),
  }, el("strong", {}, article.Title), el("span.faint", {}, article.Description ?? ""))));
}

/** A template or subscription card, as the chat shows it. */
function card(item, open) {
  const url = item.url || "";
  const program = item.extra?.miniprogram;
  return el("article.card", { "aria-label": item.title },
    el("header", {},
      el("h3", {}, item.title),
      el("p.faint", {}, dayText(item.at), item.extra?.channel === "subscription" ? " · 订阅通知" : null),
      item.duplicate ? el("span.flag.mild", { title: "这部手机之前收到过模板、内容和链接都相同的卡片" }, "内容相同") : null),
    el("dl", {}, ...item.fields.map((field) => el("div", {},
      el("dt", {}, field.label || field.key), el("dd", {}, field.value || "　")))),
    url || program ? el("button.details", {
      type: "button",
      onclick: () => open(url, program),
    }, "查看详情", el("span", { "aria-hidden": "true" }, "›")) : null);
}

function mail(item, open) {
  return el("article.mail", { "aria-label": item.title || "邮件" },
    el("h3", {}, item.title || "（无主题）", item.duplicate ? el("span.flag", {}, "重复") : null),
    el("p.faint", {}, [item.extra?.from, momentText(item.at)].filter(Boolean).join(" · ")),
    el("p.body", {}, ...linked(item.text, open)));
}

const URLS = /(https?:\/\/[^\s<>"“”，。；）]+)/g;

/** Text with its web addresses made to tap. */
function linked(text, open) {
  return text.split(URLS).map((part, index) => (index % 2
    ? el("button.link", { type: "button", onclick: () => open(part) }, part)
    : part));
}
