// Calls to the sandbox; every failure becomes a toast and an ApiError.
import { toast } from "./dom.js";

export class ApiError extends Error {}

async function call(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    toast("沙箱没有回应", true);
    throw new ApiError(String(error));
  }
  const answer = await response.json();
  if (!response.ok) {
    toast(answer.error ?? `沙箱返回 ${response.status}`, true);
    throw new ApiError(answer.error);
  }
  return answer;
}

export const get = (path, query = {}) => {
  const text = new URLSearchParams(query).toString();
  return call("GET", text ? `${path}?${text}` : path);
};
export const post = (path, body = {}) => call("POST", path, body);
export const remove = (path) => call("DELETE", path);

/** What a person does with a phone: act(openid, "say", {text}). Tells when the backend fails. */
export async function act(openid, action, values = {}) {
  const done = await post(`/sandbox/phones/${encodeURIComponent(openid)}/${action}`, values);
  const bad = { given_up: "回调没有得到应答", malformed: "应用的应答格式不对", lost: "回调没有送出（没有回调地址，或被故障规则丢弃）" };
  if (bad[done.state]) toast(`${bad[done.state]}${done.problem ? `：${done.problem}` : ""}`, true);
  return done;
}
