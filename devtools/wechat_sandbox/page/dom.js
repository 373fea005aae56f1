// Small helpers to make elements and to write times; used by every module of the page.

/** el("button.primary", {type: "button", onclick: f}, "文字", child): an element. */
export function el(spec, props = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const made = document.createElement(tag || "div");
  made.classList.add(...classes);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "data") Object.assign(made.dataset, value);
    else if (name.startsWith("on") || (name in made && name !== "list")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const ICONS = {
  back: "M15 4 7 12l8 8",
  close: "M5 5l14 14M19 5 5 19",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  reload: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  keyboard: "M3 6h18v12H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8",
  menu: "M4 7h16M4 12h16M4 17h16",
  plus: "M12 5v14M5 12h14",
  image: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9h.01",
  place: "M12 21s-7-6.2-7-11a7 7 0 0 1 14 0c0 4.8-7 11-7 11zM12 10h.01",
  voice: "M12 4v10M9 6v6a3 3 0 0 0 6 0V6a3 3 0 0 0-6 0zM6 12a6 6 0 0 0 12 0M12 18v3",
  video: "M3 7h12v10H3zM15 11l6-3v8l-6-3z",
  scan: "M4 9V5h4M20 9V5h-4M4 15v4h4M20 15v4h-4M4 12h16",
  wave: "M6 9a4 4 0 0 1 0 6M10 6a8 8 0 0 1 0 12M14 4a12 12 0 0 1 0 16",
  play: "M8 5l11 7-11 7z",
  mail: "M3 6h18v12H3zM3 7l9 7 9-7",
  sms: "M4 5h16v11H9l-5 4z",
  bell: "M6 16V11a6 6 0 0 1 12 0v5l2 2H4zM10 21h4",
};

/** A line drawing; decorative, so hidden from screen readers. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

const zone = { timeZone: "Asia/Shanghai", hourCycle: "h23" };
const shortTime = new Intl.DateTimeFormat("zh-CN", { ...zone, hour: "2-digit", minute: "2-digit" });
const dayTime = new Intl.DateTimeFormat("zh-CN", {
  ...zone, month: "long", day: "numeric", hour: "2-digit", minute: "2-digit",
});
const onlyDay = new Intl.DateTimeFormat("zh-CN", { ...zone, month: "long", day: "numeric" });
const fullDay = new Intl.DateTimeFormat("zh-CN", {
  ...zone, year: "numeric", month: "long", day: "numeric", weekday: "short",
});
const fullTime = new Intl.DateTimeFormat("zh-CN", {
  ...zone, hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const exactTime = new Intl.DateTimeFormat("zh-CN", {
  ...zone, hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});

const date = (seconds) => new Date(seconds * 1000);
export const clockText = (seconds) => shortTime.format(date(seconds));
export const dayText = (seconds) => onlyDay.format(date(seconds));
export const momentText = (seconds) => dayTime.format(date(seconds));
export const fullText = (seconds) => `${fullDay.format(date(seconds))} ${fullTime.format(date(seconds))}`;
export const exactText = (seconds) => exactTime.format(date(seconds));

/** 3700 -> "1 小时 1 分"; for "in how long". */
export function spanText(seconds) {
  const days = Math.floor(seconds / 86400);
  const hours = Math.floor((seconds % 86400) / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (days) return `${days} 天 ${hours} 小时`;
  if (hours) return `${hours} 小时 ${minutes} 分`;
  if (minutes) return `${minutes} 分 ${Math.floor(seconds % 60)} 秒`;
  return `${Math.ceil(seconds)} 秒`;
}

let hiding = 0;
/** Says something short at the bottom of the page; bad news stays longer. */
export function toast(text, isBad = false) {
  const box = document.getElementById("toast");
  box.textContent = text;
  box.classList.toggle("bad", isBad);
  box.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { box.hidden = true; }, isBad ? 6000 : 2500);
}

/** Puts text on the clipboard; falls back to selecting it where that is not allowed. */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`已复制${what}`);
  } catch {
    toast(`浏览器不允许复制，请手动选择${what}`, true);
  }
}
