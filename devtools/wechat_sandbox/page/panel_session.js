// The session panel: save to and load from a file, reset, check the callback, end tokens.
import { get, post } from "./api.js";
import { el, toast } from "./dom.js";
import { on, store } from "./store.js";

export function sessionPanel(root) {
  const facts = el("dl.facts", {});
  const file = el("input.visually-hidden", { type: "file", accept: ".json,application/json", "aria-label": "会话文件" });
  file.onchange = async () => {
    await post("/sandbox/load", JSON.parse(await file.files[0].text()));
    file.value = "";
    toast("会话已载入");
  };
  const button = (text, onclick, kind = "button") => el(kind, { type: "button", onclick }, text);
  const reset = button("重置会话", () => {
    // Asked once more in place: a dialog would hide what is about to be lost.
    if (reset.dataset.sure) {
      delete reset.dataset.sure;
      reset.textContent = "重置会话";
      post("/sandbox/reset").then(() => toast("会话已重置"));
      return;
    }
    reset.dataset.sure = "yes";
    reset.textContent = "确定？所有手机和消息都会清空";
    setTimeout(() => {
      delete reset.dataset.sure;
      reset.textContent = "重置会话";
    }, 4000);
  }, "button.danger");
  root.append(el("div.columns", {},
    el("div", {}, el("h3", {}, "会话"),
      el("div.chips", {}, button("存为文件", save), button("从文件载入", () => file.click()), file, reset),
      el("p.hint", {}, "文件里有手机、消息、模板、额度、素材、故障规则和时钟；正在路上的回调不在里面。"),
      el("h3", {}, "平台"),
      el("div.chips", {},
        button("校验回调地址", async () => {
          const { ok } = await post("/sandbox/verify");
          toast(ok ? "回调地址校验通过" : "回调地址校验不通过", !ok);
        }),
        button("让所有 token 到期", () => post("/sandbox/tokens/end").then(() => toast("所有 token 已到期（42001）"))),
        button("收回所有 token", () => post("/sandbox/tokens/end", { withdrawn: true }).then(() => toast("所有 token 已收回（40001）"))))),
    el("div", {}, el("h3", {}, "应用这样接入"), facts)));

  on("about", () => {
    const { base_url: base, callback_url: callback, appid, mode, format } = store.about;
    const modes = { plain: "明文模式", compatible: "兼容模式", secure: "安全模式" };
    const rows = [["接口地址", base, "代替 https://api.weixin.qq.com"], ["网页授权", `${base}/connect/oauth2/authorize`, "代替 open.weixin.qq.com"],
      ["回调地址", callback || "未设置", callback ? "" : "启动时用 --callback 设置，没有它手机上的操作到不了应用"], ["AppID", appid, ""],
      ["加解密", modes[mode], ""], ["数据格式", format.toUpperCase(), ""]];
    facts.replaceChildren(...rows.flatMap(([name, value, beside]) => [el("dt", {}, name), el("dd", {}, el("span.mono", {}, value), el("span.faint", {}, ` ${beside}`))]));
  });
}

async function save() {
  const saved = await get("/sandbox/save");
  const address = URL.createObjectURL(new Blob([JSON.stringify(saved)], { type: "application/json" }));
  el("a", { href: address, download: "wechat-sandbox-session.json" }).click();
  URL.revokeObjectURL(address);
  toast("会话已存为文件");
}
