// The clock panel: forward by a span or to what is due next; nothing moves it back.
import { get, post } from "./api.js";
import { el, fullText, spanText, toast } from "./dom.js";
import { on, sandboxNow, store } from "./store.js";

const STEPS = [["+10 分钟", 600], ["+1 小时", 3600], ["+1 天", 86400], ["+3 天", 3 * 86400], ["+7 天", 7 * 86400]];

export function clockPanel(root) {
  const now = el("time.big", {});
  const due = el("ol.due", {});
  const move = (body) => post("/sandbox/clock", body);
  const toNext = async () => {
    const { reached } = await move({ to_next_due: true });
    toast(reached ? `已拨到：${reached.what}` : "没有即将到期的事");
  };
  root.append(el("div.columns", {},
    el("div", {},
      el("h3", {}, "沙箱时间"), now,
      el("div.chips", {}, ...STEPS.map(([text, seconds]) => el("button.chip", { type: "button", onclick: () => move({ move_s: seconds }) }, text)),
        el("button.primary", { type: "button", onclick: toNext }, "到下一件到期的事")),
      el("p.hint", {}, "时钟只能向前拨。额度、token、素材、客服窗口都按这个时钟算；应用要用同一个时钟才会一起走。")),
    el("div", {}, el("h3", {}, "即将到期"), due)));

  const draw = async () => {
    if (root.hidden) return;
    const answer = await get("/sandbox/clock");
    due.replaceChildren(...answer.due.map(({ at, what }) => el("li", {},
      el("span", {}, what, el("span.faint", {}, ` ${fullText(at)} · 还有 ${spanText(at - answer.now)}`)),
      el("button", { type: "button", onclick: () => move({ move_s: Math.max(0, at - sandboxNow()) + 0.001 }) }, "拨到这里"))));
    if (!answer.due.length) due.append(el("li.hint", {}, "没有即将到期的事。"));
  };
  setInterval(() => {
    if (!root.hidden && store.clock.now) now.textContent = fullText(sandboxNow());
  }, 250);
  on("clock", draw);
  on("phones", draw);
  return draw;
}
