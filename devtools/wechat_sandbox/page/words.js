// What calls, callbacks and faults are called on this page; used by the traffic and fault panels.

/** Kind to words; the sandbox tells them. */
export const FAULTS = {};

const PATHS = {
  "/cgi-bin/stable_token": "取稳定版 token",
  "/cgi-bin/token": "取 token",
  "/cgi-bin/message/template/send": "发模板消息",
  "/cgi-bin/message/custom/send": "发客服消息",
  "/cgi-bin/message/subscribe/bizsend": "发订阅通知",
  "/cgi-bin/message/subscribe/send": "发小程序订阅消息",
  "/cgi-bin/ticket/getticket": "取 jsapi_ticket",
  "/cgi-bin/media/get": "取素材",
  "/cgi-bin/media/get/jssdk": "取高清语音",
  "/cgi-bin/media/upload": "传素材",
  "/cgi-bin/menu/create": "建菜单",
  "/cgi-bin/menu/get": "查菜单",
  "/cgi-bin/menu/delete": "删菜单",
  "/cgi-bin/user/info": "取用户信息",
  "/cgi-bin/qrcode/create": "建带参二维码",
  "/cgi-bin/openapi/quota/get": "查接口额度",
  "/cgi-bin/clear_quota": "清零接口额度",
  "/cgi-bin/clear_quota/v2": "清零接口额度",
  "/sns/oauth2/access_token": "网页授权换 openid",
  "/connect/oauth2/authorize": "网页授权",
  "/sns/jscode2session": "小程序登录",
  "/wxa/business/getuserphonenumber": "小程序取手机号",
  "/wxa/generate_urllink": "建小程序链接",
  "/sms/": "发短信",
};
const EVENTS = {
  subscribe: "关注", unsubscribe: "取消关注", SCAN: "扫码", CLICK: "点菜单", VIEW: "点菜单链接",
  view_miniprogram: "点菜单进小程序", scancode_push: "菜单扫码", scancode_waitmsg: "菜单扫码（等应答）",
  location_select: "菜单选位置", pic_sysphoto: "菜单拍照", pic_photo_or_album: "菜单选图", pic_weixin: "菜单选图",
  TEMPLATESENDJOBFINISH: "模板消息送达回执", LOCATION: "上报位置", text: "文字消息", image: "图片消息",
  voice: "语音消息", video: "视频消息", location: "位置消息", link: "链接消息",
  subscribe_msg_popup_event: "订阅弹窗的选择", subscribe_msg_change_event: "在设置里改订阅",
  subscribe_msg_sent_event: "订阅通知送达回执", SmsReport: "短信回执",
};

const pathOf = (entry) => entry.url.split("?")[0];
const channelOf = (entry) => {
  if (entry.method === "SMTP") return "邮件";
  return pathOf(entry) === "/sms/" || entry.note.startsWith("SmsReport") ? "短信" : "微信";
};

/** From whom to whom. */
export const wayOf = (entry) => (entry.direction === "in" ? `应用 → ${channelOf(entry)}` : `${channelOf(entry)} → 应用`);

/** What was called, in words, and its technical name. */
export function namesOf(entry) {
  if (entry.method === "SMTP") return ["发邮件", "SMTP"];
  if (entry.direction === "in") return PATHS[pathOf(entry)] ? [PATHS[pathOf(entry)], pathOf(entry)] : [pathOf(entry), ""];
  const name = entry.note.split(" ")[0];
  if (name === "replay") return ["重放的回调", ""];
  return EVENTS[name] ? [EVENTS[name], name] : [name, ""];
}

/** Whose phone a call is about: the phone, or undefined. */
export function phoneOf(entry, phones) {
  const byOpenid = phones.get(openidOf(entry));
  if (byOpenid) return byOpenid;
  const address = /PhoneNumbers=(\d+)/.exec(`${entry.url} ${entry.request}`)?.[1]
    ?? /"phone_number":\s*"(\d+)"/.exec(entry.request)?.[1] ?? /RCPT TO:<([^>]+)>/i.exec(entry.request)?.[1];
  return address && [...phones.values()].find((phone) => [phone.phone_number, phone.mail_address].includes(address));
}

function openidOf(entry) {
  const found = /[?&]openid=([\w-]+)/.exec(entry.url) ?? /"touser":\s*"([\w-]+)"/.exec(entry.request)
    ?? /<FromUserName>(?:<!\[CDATA\[)?([\w-]+)/.exec(entry.request) ?? /"openid":\s*"([\w-]+)"/.exec(entry.response);
  return found?.[1] ?? "";
}

/** The code with which a call was refused, or "". */
export function codeOf(entry) {
  const errcode = /"errcode":\s*(-?\d+)/.exec(entry.response)?.[1] ?? "0";
  if (errcode !== "0") return errcode;
  const code = pathOf(entry) === "/sms/" ? /"Code":\s*"([\w.]+)"/.exec(entry.response)?.[1] ?? "OK" : "OK";
  return code === "OK" ? "" : code;
}

const faultOf = (entry) => /\bfault (\w+)/.exec(entry.note)?.[1];
export const isRefused = (entry) => entry.status === 0 || entry.status >= 400 || Boolean(codeOf(entry));
export const isBad = (entry) => isRefused(entry) || Boolean(faultOf(entry));

/** The fault that the sandbox was told to make, in words; "" = none. */
export const faultText = (entry) => {
  const kind = faultOf(entry);
  return kind ? `故障：${FAULTS[kind] ?? kind}` : "";
};

/** What else there is to say: which attempt, what went wrong. */
export function noteText(entry) {
  if (entry.note.startsWith("replay")) return entry.note.replace("replay of ", "重放自第 ") + " 条";
  const attempt = /#(\d+)/.exec(entry.note)?.[1];
  const problem = (entry.note.split(/#\d+/)[1] ?? "").replace(/\bfault \w+/, "").trim();
  return [attempt > 1 ? `第 ${attempt} 次` : "", problem].filter(Boolean).join(" ");
}
