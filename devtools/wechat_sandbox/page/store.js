// What the page knows: the phones, which of them are drawn, the clock; fed by server-sent events.
import { get, post } from "./api.js";
import { FAULTS } from "./words.js";

const CHOSEN = "sandbox-phones-chosen";
const MOST_AT_FIRST = 4;

export const store = {
  about: {},
  phones: new Map(),
  shown: [],
  menu: { buttons: [] },
  generation: -1,
  clock: { now: 0, at: 0 },
  seen: new Map(),
};

const listeners = new Map();

/** on("phones", f): f is called after each change of that name. */
export function on(name, listener) {
  listeners.set(name, [...(listeners.get(name) ?? []), listener]);
}

export function emit(name, value) {
  for (const listener of listeners.get(name) ?? []) listener(value);
}

/** The sandbox's time now, seconds since 1970, running on between two events. */
export const sandboxNow = () => store.clock.now + (performance.now() - store.clock.at) / 1000;

export const label = (phone) => phone.name || `${phone.openid.slice(0, 10)}…`;

export function show(openid) {
  if (!store.shown.includes(openid)) store.shown = [...store.shown, openid];
  remember();
}

export function hide(openid) {
  store.shown = store.shown.filter((other) => other !== openid);
  remember();
}

/** A new phone: {name, role, phone_number, mail_address}, all but the name may be missing. */
export async function addPhone(person) {
  const { openid } = await post("/sandbox/phones", person);
  show(openid);
  return openid;
}

function remember() {
  localStorage.setItem(CHOSEN, JSON.stringify(store.shown));
  emit("shown");
}

function chooseAtFirst() {
  let kept = [];
  try {
    kept = JSON.parse(localStorage.getItem(CHOSEN) ?? "[]");
  } catch { /* whatever was there, it is not ours */ }
  store.shown = kept.filter((openid) => store.phones.has(openid));
  if (store.shown.length) return;
  const all = [...store.phones.values()];
  const named = all.filter((phone) => phone.role);
  store.shown = (named.length ? named : all).slice(0, MOST_AT_FIRST).map((phone) => phone.openid);
}

function takePhones({ all, generation, phones }) {
  const isOther = all && generation !== store.generation;
  if (all) store.phones.clear();
  for (const phone of phones) store.phones.set(phone.openid, phone);
  store.generation = generation;
  if (isOther || store.shown.length === 0) chooseAtFirst();
  if (isOther) emit("session");
  emit("shown");
  emit("phones", new Set(phones.map((phone) => phone.openid)));
}

/** Listen to the sandbox for as long as the page lives; the browser reconnects by itself. */
export function listen(sayState) {
  const source = new EventSource("/sandbox/events");
  const take = (name, f) => source.addEventListener(name, (event) => f(JSON.parse(event.data)));
  source.onopen = () => sayState("live");
  source.onerror = () => sayState("lost");
  take("phones", takePhones);
  take("traffic", (value) => emit("traffic", value));
  take("faults", (value) => emit("faults", value));
  take("scenario", (value) => emit("scenario", value));
  take("clock", ({ now }) => {
    store.clock = { now, at: performance.now() };
    emit("clock");
  });
  take("menu", (menu) => {
    store.menu = menu;
    emit("menu");
  });
}

export async function loadAbout() {
  store.about = await get("/sandbox/about");
  Object.assign(FAULTS, store.about.faults);
  emit("about");
}
