// The list of all phones: search, show or fold, add; hundreds of phones stay usable here.
import { clockText, el } from "./dom.js";
import { addPhone, hide, label, on, show, store } from "./store.js";

const DRAWN = 100;

export function phonesPanel(root, button) {
  const search = el("input", { type: "search", placeholder: "搜索姓名、身份或 openid", "aria-label": "搜索手机" });
  const body = el("tbody");
  const count = el("p.hint", {});
  const text = (name, label, props = {}) => el("input", { type: "text", name, placeholder: label, "aria-label": label, autocomplete: "off", ...props });
  const form = el("form.tools.new-phone", {
    onsubmit: async (event) => {
      event.preventDefault();
      const person = Object.entries(Object.fromEntries(new FormData(form))).map(([key, value]) => [key, value.trim()]);
      await addPhone(Object.fromEntries(person.filter(([, value]) => value)));
      form.reset();
    },
  },
  text("name", "姓名", { required: true }), text("role", "身份"), text("phone_number", "手机号", { inputMode: "tel" }),
  text("mail_address", "邮箱", { inputMode: "email" }), el("button.primary", { type: "submit" }, "添加手机"));
  root.append(el("div.tools", {}, search, form, count),
    el("div.scroll", {}, el("table.phone-list", {},
      el("thead", {}, el("tr", {}, ...["显示", "姓名", "身份", "状态", "消息", "最近", "手机号", "邮箱", "openid"].map((text) => el("th", { scope: "col" }, text)))),
      body)));

  const draw = () => {
    button.replaceChildren("手机", el("span.count", {}, String(store.phones.size)));
    if (root.hidden) return;
    const wanted = search.value.trim().toLowerCase();
    const found = [...store.phones.values()].filter((phone) => !wanted
      || `${phone.name} ${phone.role} ${phone.openid}`.toLowerCase().includes(wanted));
    body.replaceChildren(...found.slice(0, DRAWN).map(phoneRow));
    count.textContent = found.length > DRAWN
      ? `共 ${found.length} 部，显示前 ${DRAWN} 部，请搜索` : `共 ${found.length} 部`;
  };
  let planned = false;
  const plan = () => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      draw();
    });
  };
  search.oninput = draw;
  on("phones", plan);
  on("shown", plan);
  return draw;
}

function phoneRow(phone) {
  const isShown = store.shown.includes(phone.openid);
  const box = el("input", {
    type: "checkbox",
    checked: isShown,
    "aria-label": `显示${label(phone)}`,
    onchange: () => (box.checked ? show(phone.openid) : hide(phone.openid)),
  });
  return el("tr", { data: { openid: phone.openid } },
    el("td", {}, box), el("td", {}, el("strong", {}, phone.name || "—")), el("td", {}, phone.role || "—"),
    el("td", {}, phone.following ? "已关注" : "未关注"), el("td", {}, String(phone.items)),
    el("td.last", {}, phone.last ? `${clockText(phone.last.at)} ${phone.last.text}` : ""),
    el("td.mono", {}, phone.phone_number), el("td.mono", {}, phone.mail_address), el("td.mono.faint", {}, phone.openid));
}
