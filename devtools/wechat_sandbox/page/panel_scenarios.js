// The scenario buttons, from the sandbox's JSON files, and how far the one that plays has come.
import { get, post } from "./api.js";
import { el, icon } from "./dom.js";
import { on, show, store } from "./store.js";

const WORDS = { playing: "进行中", done: "通过", failed: "未通过" };

export function scenarioPanel(root) {
  const list = el("div.scenarios", {});
  const title = el("h3", {}, "经过");
  const steps = el("ol.steps", { "aria-live": "polite" }, el("li.hint", {}, "点一个场景，手机会自己操作，每一步写在这里。"));
  root.append(el("div.columns.scenario-columns", {}, list, el("div", {}, title, steps)));

  // Who acts in a scenario is seen, also when the scenario itself makes the phone.
  let actors = new Set();
  const showActors = () => {
    for (const { openid, name } of store.phones.values()) {
      if (actors.has(name) && !store.shown.includes(openid)) show(openid);
    }
  };
  const start = async (name, all) => {
    actors = new Set(all.map((step) => step.phone).filter(Boolean));
    showActors();
    await post("/sandbox/scenarios/run", { name });
  };
  on("phones", showActors);

  on("scenario", (run) => {
    if (!run.name) return;
    root.dataset.state = run.state;
    title.replaceChildren(`${run.name} `, el(`span.state.${run.state}`, {}, WORDS[run.state]));
    steps.replaceChildren(...run.steps.map((step) => el("li", {}, step.text)));
    if (run.state === "playing") steps.append(el("li.faint", {}, `共 ${run.total} 步……`));
    if (run.problem) steps.append(el("li.bad", {}, run.problem));
    steps.lastElementChild?.scrollIntoView({ block: "nearest" });
    for (const button of list.querySelectorAll("button")) {
      button.disabled = run.state === "playing";
      if (button.dataset.name === run.name) button.dataset.state = run.state;
    }
  });

  return async () => {
    const found = await get("/sandbox/scenarios");
    const states = new Map([...list.children].map((button) => [button.dataset.name, button.dataset.state]));
    list.replaceChildren(...found.map(({ name, about, steps: all }) => el("button.scenario", {
      type: "button",
      data: { name, state: states.get(name) ?? "" },
      onclick: () => start(name, all),
    }, icon("play"), el("strong", {}, name), el("span.faint", {}, about))));
    if (!found.length) list.append(el("p.hint", {}, "没有场景文件。"));
  };
}
