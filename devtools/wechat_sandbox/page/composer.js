// The foot of a chat: bottom menu, input, what else can be sent, the account's profile.
import { accountName } from "./bubbles.js";
import { el, icon, toast } from "./dom.js";
import { label, store } from "./store.js";

const PLACES = [
  ["解放路 1 号", 30.5702, 104.0648],
  ["人民公园东门", 30.6598, 104.0633],
];
const RECEIPTS = [
  ["success", "正常送达"],
  ["failed:user block", "用户拒收"],
  ["failed: system failed", "系统失败"],
];
const SAMPLE_MD5 = "1b5f7c23b5bf75682a53e7b6d163e185";

export class Composer {
  constructor(frame) {
    this.frame = frame;
    this.mode = "";
    this.input = el("input", { type: "text", "aria-label": "输入消息", placeholder: "发消息", autocomplete: "off" });
    this.root = el("div.composer");
    this.state = "";
  }

  draw(phone) {
    const state = `${phone.following} ${this.mode} ${this.frame.tab} ${this.frame.view}`;
    // Redrawing takes the focus from the input, so it is done for a reason only.
    if (state === this.state) return;
    this.state = state;
    if (!phone.following) this.root.replaceChildren(this.followBar());
    else if (this.mode === "menu" && this.buttons().length) this.root.replaceChildren(...this.menuBar());
    else this.root.replaceChildren(...this.inputBar());
  }

  redraw() {
    this.state = "";
    this.draw(this.frame.phone);
  }

  buttons() {
    return store.menu.buttons ?? store.menu.button ?? [];
  }

  drawMenu() {
    this.mode = this.buttons().length ? "menu" : "input";
    this.redraw();
  }

  followBar() {
    return el("div.follow", {}, el("button.primary", { type: "button", onclick: () => this.frame.act("follow") }, "关注公众号"));
  }

  inputBar() {
    const send = el("button.send", { type: "submit" }, "发送");
    const plus = el("button.icon-button", { type: "button", title: "更多", "aria-label": "发送图片、位置、语音等", onclick: () => this.showExtras() }, icon("plus"));
    const form = el("form", { onsubmit: (event) => this.say(event) }, this.input, plus, send);
    const toMenu = this.buttons().length
      ? el("button.icon-button", { type: "button", title: "菜单", "aria-label": "切换到菜单", onclick: () => this.switchTo("menu") }, icon("menu"))
      : null;
    return [toMenu, form].filter(Boolean);
  }

  menuBar() {
    const keyboard = el("button.icon-button", { type: "button", title: "键盘", "aria-label": "切换到输入", onclick: () => this.switchTo("input") }, icon("keyboard"));
    const buttons = this.buttons().map((button) => {
      const subs = button.sub_button ?? button.sub_buttons ?? [];
      const list = Array.isArray(subs) ? subs : subs.list ?? [];
      return el("button.menu", {
        type: "button",
        "aria-haspopup": list.length ? "menu" : undefined,
        onclick: (event) => (list.length ? this.showSubMenu(event.currentTarget, button.name, list) : this.tapMenu(button)),
      }, list.length ? icon("menu") : null, button.name);
    });
    return [keyboard, ...buttons];
  }

  switchTo(mode) {
    this.mode = mode;
    this.redraw();
    if (mode === "input") this.input.focus();
  }

  async say(event) {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    await this.frame.act("say", { text });
  }

  tapMenu(button) {
    this.closeSheet();
    const { key, url } = button;
    const place = { latitude: PLACES[0][1], longitude: PLACES[0][2], label: PLACES[0][0] };
    const taps = {
      click: () => this.frame.act("click", { key }),
      view: () => Promise.all([this.frame.act("view", { url }), this.frame.open(url)]),
      miniprogram: () => this.frame.act("view_miniprogram", { path: button.pagepath ?? "" }),
      scancode_push: () => this.showScan((result) => this.frame.act("scan_code", { key, result })),
      scancode_waitmsg: () => this.showScan((result) => this.frame.act("scan_code", { key, result, waits: true })),
      location_select: () => this.frame.act("select_location", { key, ...place }),
    };
    const photos = () => this.frame.act("pick_photos", { key, md5s: [SAMPLE_MD5], event: button.type });
    const tap = button.type?.startsWith("pic_") ? photos : taps[button.type];
    if (tap) tap();
    else toast(`沙箱不认识菜单类型 ${button.type}`, true);
  }

  /** The menu's second level stands right above its button, as on a phone. */
  showSubMenu(tapped, name, list) {
    const menu = el("div.submenu", { role: "menu", "aria-label": name }, ...list.map((button) => el("button", {
      type: "button", role: "menuitem", onclick: () => this.tapMenu(button),
    }, button.name)));
    const { sheet } = this.frame;
    this.openSheet(menu);
    sheet.classList.add("clear");
    const middle = tapped.offsetLeft + tapped.offsetWidth / 2 - menu.offsetWidth / 2;
    menu.style.left = `${Math.max(6, Math.min(sheet.clientWidth - menu.offsetWidth - 6, middle))}px`;
    menu.style.bottom = `${this.root.offsetHeight + 8}px`;
    menu.querySelector("button").focus();
  }

  showExtras() {
    const entry = (name, text, onclick) => el("button.extra", { type: "button", onclick }, icon(name), text);
    this.showSheet("发送", el("div.extras", {},
      entry("image", "图片", () => this.pickFile("image/*", "photo")),
      entry("video", "视频", () => this.pickFile("video/*", "video")),
      entry("voice", "语音", () => this.showVoice()),
      entry("place", "位置", () => this.showPlace()),
      entry("scan", "扫带参二维码", () => this.showScan((scene) => this.frame.act("scan", { scene })))));
  }

  pickFile(accept, action) {
    const input = el("input", { type: "file", accept });
    input.onchange = async () => {
      const bytes = new Uint8Array(await input.files[0].arrayBuffer());
      let text = "";
      for (let at = 0; at < bytes.length; at += 32768) {
        text += String.fromCharCode(...bytes.subarray(at, at + 32768));
      }
      this.closeSheet();
      await this.frame.act(action, { content_b64: btoa(text) });
    };
    input.click();
  }

  showVoice() {
    const seconds = el("input", { type: "range", min: 1, max: 60, value: 5, "aria-label": "语音时长，秒" });
    const shown = el("output", {}, "5 秒");
    seconds.oninput = () => { shown.textContent = `${seconds.value} 秒`; };
    this.showForm("语音", [seconds, shown], () => this.frame.act("voice", { seconds: Number(seconds.value) }));
  }

  showPlace() {
    const name = el("input", { type: "text", value: PLACES[0][0], "aria-label": "地点" });
    const latitude = el("input", { type: "number", step: "any", value: PLACES[0][1], "aria-label": "纬度" });
    const longitude = el("input", { type: "number", step: "any", value: PLACES[0][2], "aria-label": "经度" });
    const presets = PLACES.map(([text, north, east]) => el("button.chip", {
      type: "button",
      onclick: () => { [name.value, latitude.value, longitude.value] = [text, north, east]; },
    }, text));
    this.showForm("位置", [el("div.chips", {}, ...presets), name, latitude, longitude], () => this.frame.act("location", {
      latitude: Number(latitude.value), longitude: Number(longitude.value), label: name.value,
    }));
  }

  showScan(send) {
    const scene = el("input", { type: "text", value: "scene_1", "aria-label": "二维码内容" });
    this.showForm("二维码内容", [scene], () => send(scene.value));
  }

  showForm(title, fields, send) {
    this.showSheet(title, el("form.stack", {
      onsubmit: (event) => {
        event.preventDefault();
        this.closeSheet();
        send();
      },
    }, ...fields, el("button.primary", { type: "submit" }, "发送")));
  }

  showProfile() {
    const { frame } = this;
    const { phone } = frame;
    const receipts = el("select", {
      "aria-label": "模板消息的送达结果",
      onchange: () => frame.act("receipts_say", { status: receipts.value }),
    }, ...RECEIPTS.map(([value, text]) => el("option", { value, selected: phone.receipt_status === value }, text)));
    const toggle = phone.following
      ? el("button.danger", { type: "button", onclick: () => { this.closeSheet(); frame.act("unfollow"); } }, "取消关注")
      : el("button.primary", { type: "button", onclick: () => { this.closeSheet(); frame.act("follow"); } }, "关注公众号");
    const facts = [["姓名", label(phone)], ["openid", phone.openid], ["手机号", phone.phone_number], ["邮箱", phone.mail_address]];
    this.showSheet(accountName(), el("div.stack", {},
      el("dl.facts", {}, ...facts.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el(name === "openid" ? "dd.mono" : "dd", {}, value)])),
      el("label", {}, "模板消息 ", receipts),
      toggle));
  }

  showSheet(title, body) {
    const close = el("button.icon-button", { type: "button", "aria-label": "关闭", onclick: () => this.closeSheet() }, icon("close"));
    this.openSheet(el("div.sheet-box", { role: "dialog", "aria-label": title },
      el("header", {}, el("h3", {}, title), close), body));
    this.frame.sheet.querySelector(".sheet-box button, .sheet-box input")?.focus();
  }

  openSheet(box) {
    const { sheet } = this.frame;
    sheet.replaceChildren(box);
    sheet.classList.remove("clear");
    sheet.hidden = false;
    sheet.onclick = (event) => {
      if (event.target === sheet) this.closeSheet();
    };
  }

  closeSheet() {
    this.frame.sheet.hidden = true;
    this.frame.sheet.replaceChildren();
  }
}
