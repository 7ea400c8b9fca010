// The controls of the settings, and the lists of the moments and the marks.

const CONTROL_TABLE = [
  ["threshold_db", "Threshold", "dBFS", -100, 0, 0.1],
  ["hysteresis_db", "Hysteresis", "dB", 0, 24, 0.5],
  ["min_open_ms", "Min open", "ms", 0, 1000, 10],
  ["min_closed_ms", "Min closed", "ms", 0, 2000, 10],
  ["lookahead_ms", "Lookahead", "ms", 0, 300, 5],
  ["attack_ms", "Attack", "ms", 0, 300, 1],
  ["hold_ms", "Hold", "ms", 0, 2000, 10],
  ["release_ms", "Release", "ms", 0, 2000, 10],
  ["range_db", "Range", "dB", -60, 0, 1],
  ["ratio", "Ratio", "to 1", 1.1, 20, 0.1],
  ["knee_db", "Knee", "dB", 0, 24, 1],
];
const [FIRST_RATIO, FIRST_RANGE_DB] = [2, -24];
const [MIN_RATIO, MAX_RATIO, MAX_KNEE_DB] = [1.001, 60000, 60];
const SILENCE_DB = -60; // shown while the closed gate is silent
const MAX_TIME_MS = 60000;
const MIN_LEVEL_DB = -200;

/** Return the limits of the number of a setting, which may be beyond the ends of its slider. */
function findLimits(name) {
  if (name === "ratio") return [MIN_RATIO, MAX_RATIO];
  if (name === "knee_db") return [0, MAX_KNEE_DB];
  if (name === "threshold_db" || name === "range_db") return [MIN_LEVEL_DB, 0];
  return [0, MAX_TIME_MS];
}

/** Return a check box with its label. */
function createSwitch(id, layout, label, change) {
  const box = create("input", { type: "checkbox", id });
  box.addEventListener("change", () => change(box.checked));
  return create("label", { className: `switch ${layout}` }, box, label);
}

/** A slider and a number for each setting. */
class ControlPanel {
  constructor(page) {
    this.page = page;
    for (const row of CONTROL_TABLE) {
      const [name] = row;
      if (name === "ratio") {
        const label = "Expander: attenuate gradually below the threshold";
        const change = (isOn) => page.changeSetting("ratio", isOn ? FIRST_RATIO : null);
        $("controls").append(createSwitch("expander", "alone", label, change));
      }
      $("controls").append(this.createControl(row));
      if (name === "range_db") {
        const change = (isOn) => page.changeSetting("range_db", isOn ? null : FIRST_RANGE_DB);
        $("controls").append(createSwitch("mute", "", "Mute: closed is silence", change));
      }
    }
    for (const name of Object.keys(page.data.presets)) {
      $("preset").append(create("option", { value: name, textContent: name }));
    }
  }

  /** Return a slider and a number for a setting. */
  createControl([name, label, unit, min, max, step]) {
    const range = create("input", { type: "range", id: name, min, max, step });
    const [lowest, highest] = findLimits(name);
    const number = create("input", { type: "number", id: `${name}_number`, step: "any" });
    Object.assign(number, { min: lowest, max: highest });
    number.setAttribute("aria-label", `${label}, ${unit}`);
    const set = (event) => {
      const value = Number(event.target.value);
      if (event.target.value !== "" && event.target.validity.valid) this.page.changeSetting(name, value);
      else this.page.announce(`${label}: give a number from ${lowest} to ${highest} ${unit}.`);
    };
    range.addEventListener("input", set);
    number.addEventListener("change", set);
    const title = create("label", { htmlFor: name, textContent: label });
    const box = create("span", { className: "number" }, number, ` ${unit}`);
    return create("div", { className: "control" }, title, range, box);
  }

  show() {
    const { settings } = this.page.state;
    for (const [name, , unit] of CONTROL_TABLE) {
      const value = settings[name] ?? (name === "ratio" ? FIRST_RATIO : SILENCE_DB);
      $(name).value = value;
      $(name).setAttribute("aria-valuetext", `${formatNumber(value)} ${unit}`);
      if (document.activeElement !== $(`${name}_number`)) $(`${name}_number`).value = formatNumber(value);
    }
    $("mute").checked = settings.range_db === null;
    $("expander").checked = settings.ratio !== null;
    const disable = (name, isDisabled) => {
      $(name).disabled = $(`${name}_number`).disabled = isDisabled;
    };
    disable("range_db", settings.range_db === null);
    disable("hysteresis_db", settings.detector === "auto");
    disable("ratio", settings.ratio === null);
    disable("knee_db", settings.ratio === null);
    $("adaptive").checked = settings.adaptive;
    $("adaptive").disabled = settings.detector === "auto";
    $("preset").value = settings.preset;
    for (const radio of document.getElementsByName("detector")) {
      radio.checked = radio.value === settings.detector;
    }
  }
}

/** Buttons that play each moment and mark it as kept or cut. */
class MomentList {
  constructor(page) {
    this.page = page;
    if (!page.state.moments.some(({ kind }) => kind === "sound" || kind === "pause")) {
      const others = page.state.moments.length ? " Cut-offs, and the loudest moment:" : "";
      $("moments-note").textContent = `With the initial settings, no decision of the gate is uncertain.${others}`;
    }
    this.items = page.state.moments.map((moment, index) => {
      const go = create("button", { type: "button", className: "go" });
      go.addEventListener("click", () => page.goToMoment(index));
      const answers = ["keep", "cut"].map((kind) => {
        const button = create("button", { type: "button", textContent: kind === "keep" ? "Keep" : "Cut" });
        button.setAttribute("aria-label", `${button.textContent} at ${formatPosition(page.data, moment.time)}`);
        button.addEventListener("click", () => page.markMoment(moment, kind));
        return [kind, button];
      });
      $("moments").append(create("li", {}, create("div", {}, go, ...answers.map(([, button]) => button))));
      return { moment, go, answers };
    });
  }

  describe({ kind, value }) {
    if (kind === "sound" || kind === "pause") {
      const unit = this.page.data.unit ? ` ${this.page.data.unit}` : "";
      const changes = (kind === "sound") === (value > 0);
      const verb = kind === "sound" ? "opens" : "closes";
      const distance = `${Math.abs(value).toFixed(2)}${unit} from the threshold`;
      return `${kind} ${changes ? "barely" : "nearly"} ${verb} the gate, ${distance}`;
    }
    if (kind === "loudest") return `loudest, ${formatLevel(value, 1)} dBFS`;
    return `${kind === "decay" ? "decay" : "attack"} truncated, ${value.toFixed(0)} dB above the pause`;
  }

  show() {
    const { page } = this;
    for (const { moment, go, answers } of this.items) {
      const state = page.isOpenAt(moment.time) ? "open" : "closed";
      go.textContent = `${formatPosition(page.data, moment.time)}: ${this.describe(moment)} (now ${state})`;
      const mark = page.state.marks.find((m) => m.start <= moment.time && moment.time < m.end);
      for (const [kind, button] of answers) button.setAttribute("aria-pressed", mark?.kind === kind);
    }
  }
}

/** The marked segments, each with a button that removes it. */
class MarkList {
  constructor(page) {
    this.page = page;
  }

  show() {
    const { page } = this;
    if (this.shown === page.state.marks) return; // A new list would take the focus away.
    this.shown = page.state.marks;
    const items = page.state.marks.map((mark) => {
      const text = `${mark.kind} ${formatSpan(page.data, mark)}`;
      const remove = create("button", { type: "button", textContent: "Remove" });
      remove.setAttribute("aria-label", `Remove: ${text}`);
      remove.addEventListener("click", () => {
        page.removeMark(mark);
        $("keep").focus();
      });
      return create("li", {}, create("div", {}, text, remove));
    });
    $("marks").replaceChildren(...items);
  }
}
