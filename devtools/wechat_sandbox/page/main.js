// Starts the page: the header, the row of phones, the dock with its panels.
import { el, fullText } from "./dom.js";
import { Dock } from "./dock.js";
import { PhoneFrame } from "./phone.js";
import { addPhone, label, listen, loadAbout, on, sandboxNow, store } from "./store.js";
import { clockPanel } from "./panel_clock.js";
import { faultPanel } from "./panel_faults.js";
import { phonesPanel } from "./panel_phones.js";
import { scenarioPanel } from "./panel_scenarios.js";
import { sessionPanel } from "./panel_session.js";
import { trafficPanel } from "./panel_traffic.js";

const frames = new Map();
const row = document.getElementById("phones");
const tabs = document.getElementById("phone-tabs");
let inFront = "";

function drawFrames() {
  for (const [openid, frame] of frames) {
    if (!store.shown.includes(openid) || !store.phones.has(openid)) {
      frame.root.remove();
      frames.delete(openid);
    }
  }
  for (const openid of store.shown) {
    if (!store.phones.has(openid)) continue;
    if (!frames.has(openid)) frames.set(openid, new PhoneFrame(openid));
    const { root } = frames.get(openid);
    if (root.parentNode !== row) row.append(root);
  }
  row.querySelector(".nothing")?.remove();
  if (frames.size === 0) {
    row.append(nobody());
  }
  bringToFront(frames.has(inFront) ? inFront : [...frames.keys()][0]);
}

function nobody() {
  const cast = async () => {
    for (const person of store.about.cast) await addPhone(person);
  };
  return el("div.nothing", {},
    el("p", {}, store.phones.size ? "手机都收起来了，在下面的“手机”里勾选。" : "还没有手机。"),
    el("button.primary", { type: "button", onclick: cast, hidden: store.phones.size > 0 }, "添加四部手机"));
}

// On a narrow screen one phone is seen at a time.
function bringToFront(openid) {
  inFront = openid;
  for (const [other, frame] of frames) frame.root.classList.toggle("in-front", other === openid);
  tabs.replaceChildren(...[...frames.values()].map(({ openid: other, unread }) => el(
    "button", {
      type: "button",
      "aria-pressed": String(other === openid),
      onclick: () => bringToFront(other),
    },
    label(store.phones.get(other)),
    unread() && other !== openid ? el("span.badge", {}, String(unread())) : null,
  )));
}

function drawHeader() {
  const { account_name: name, base_url: address, mode, format } = store.about;
  const modes = { plain: "明文", compatible: "兼容", secure: "安全" };
  document.getElementById("account").textContent =
    `${name} · ${modes[mode]}模式 · ${format.toUpperCase()} · ${address}`;
}

function sayState(state) {
  const place = document.getElementById("live");
  place.dataset.state = state;
  place.textContent = state === "live" ? "实时" : "断开，正在重连";
}

function tick() {
  if (!store.clock.now) return;
  document.getElementById("clock").textContent = fullText(sandboxNow());
  for (const frame of frames.values()) frame.tick();
}

on("shown", drawFrames);
on("session", () => {
  for (const frame of frames.values()) frame.root.remove();
  frames.clear();
});
on("phones", (changed) => {
  for (const openid of changed) frames.get(openid)?.refresh();
});
on("unread", () => bringToFront(inFront));
on("menu", () => frames.forEach((frame) => frame.composer.drawMenu()));
on("about", () => {
  drawHeader();
  frames.forEach((frame) => {
    frame.draw();
    frame.drawList();
  });
});
on("clock", tick);
setInterval(tick, 500);

new Dock(document.getElementById("dock"), [
  { name: "traffic", title: "流量", make: trafficPanel },
  { name: "faults", title: "故障", make: faultPanel },
  { name: "clock", title: "时钟", make: clockPanel },
  { name: "scenarios", title: "场景", make: scenarioPanel },
  { name: "phones", title: "手机", make: phonesPanel },
  { name: "session", title: "会话", make: sessionPanel },
]);
listen(sayState);
loadAbout();
