// The dock at the bottom: tabs, one panel at a time, a height that can be dragged.
import { el, icon } from "./dom.js";

const HEIGHT = "sandbox-dock-height";
const STEP = 24;
const isNarrow = () => window.matchMedia("(max-width: 719px)").matches;

export class Dock {
  constructor(root, panels) {
    this.root = root;
    this.panels = new Map();
    this.body = el("div.dock-body", {});
    this.buttons = panels.map(({ name, title, make }) => {
      const button = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, onclick: () => this.toggle(name) }, title);
      const panel = el("section.panel", { id: `panel-${name}`, role: "tabpanel", "aria-labelledby": `tab-${name}`, hidden: true });
      const shown = make(panel, button) ?? (() => {});
      this.panels.set(name, { button, panel, shown });
      this.body.append(panel);
      return button;
    });
    const fold = el("button.icon-button", { type: "button", title: "收起工具", "aria-label": "收起工具", onclick: () => this.open("") }, icon("close"));
    const bar = el("div.dock-bar", { role: "tablist", "aria-label": "工具", onkeydown: (event) => this.onArrow(event) }, ...this.buttons);
    root.append(this.grip(), el("div.dock-head", {}, bar, fold), this.body);
    this.setHeight(Number(localStorage.getItem(HEIGHT)) || 240);
    this.open(isNarrow() ? "" : panels[0].name);
  }

  toggle(name) {
    this.open(this.name === name && isNarrow() ? "" : name);
  }

  open(name) {
    this.name = name;
    this.root.dataset.open = name ? "yes" : "no";
    for (const [other, { button, panel, shown }] of this.panels) {
      button.setAttribute("aria-selected", String(other === name));
      panel.hidden = other !== name;
      if (other === name) shown();
    }
  }

  onArrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = this.buttons.indexOf(document.activeElement);
    const next = this.buttons.at((at + step) % this.buttons.length);
    next.focus();
    next.click();
  }

  setHeight(height) {
    this.height = Math.max(120, Math.min(window.innerHeight - 260, height));
    this.root.style.setProperty("--dock-height", `${this.height}px`);
    localStorage.setItem(HEIGHT, String(this.height));
  }

  grip() {
    const grip = el("div.grip", { role: "separator", tabIndex: 0, "aria-orientation": "horizontal", "aria-label": "工具栏高度，上下键调整" });
    grip.onkeydown = (event) => {
      const step = { ArrowUp: STEP, ArrowDown: -STEP }[event.key];
      if (step) this.setHeight(this.height + step);
    };
    grip.onpointerdown = (event) => {
      grip.setPointerCapture(event.pointerId);
      const from = event.clientY + this.height;
      grip.onpointermove = (moved) => this.setHeight(from - moved.clientY);
      grip.onpointerup = () => { grip.onpointermove = null; };
    };
    return grip;
  }
}
