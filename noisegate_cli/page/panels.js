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
];
const MAX_TIME_MS = 60000;
const MIN_LEVEL_DB = -200;

/** A slider and a number for each setting. */
class ControlPanel {
  constructor(page) {
    this.page = page;
    for (const [name, label, unit, min, max, step] of CONTROL_TABLE) {
      const range = create("input", { type: "range", id: name, min, max, step });
      // The number may be beyond the ends of the slider.
      const lowest = min < 0 ? MIN_LEVEL_DB : 0;
      const highest = min < 0 ? 0 : MAX_TIME_MS;
      const number = create("input", { type: "number", id: `${name}_number`, step: "any" });
      Object.assign(number, { min: lowest, max: highest });
      number.setAttribute("aria-label", `${label}, ${unit}`);
      const set = (event) => {
        const value = Number(event.target.value);
        if (event.target.value !== "" && event.target.validity.valid) page.changeSetting(name, value);
        else page.announce(`${label}: give a number from ${lowest} to ${highest} ${unit}.`);
      };
      range.addEventListener("input", set);
      number.addEventListener("change", set);
      const title = create("label", { htmlFor: name, textContent: label });
      const box = create("span", { className: "number" }, number, ` ${unit}`);
      $("controls").append(create("div", { className: "control" }, title, range, box));
    }
    const mute = create("input", { type: "checkbox", id: "mute" });
    mute.addEventListener("change", () => page.changeSetting("range_db", mute.checked ? null : -24));
    $("controls").append(create("label", {}, mute, "Mute: closed is silence"));
    for (const name of Object.keys(page.data.presets)) {
      $("preset").append(create("option", { value: name, textContent: name }));
    }
  }

  show() {
    const { settings } = this.page.state;
    for (const [name] of CONTROL_TABLE) {
      const value = settings[name] ?? -60;
      $(name).value = value;
      if (document.activeElement !== $(`${name}_number`)) $(`${name}_number`).value = formatNumber(value);
    }
    $("mute").checked = settings.range_db === null;
    $("range_db").disabled = $("range_db_number").disabled = settings.range_db === null;
    $("hysteresis_db").disabled = $("hysteresis_db_number").disabled = settings.detector === "auto";
    $("adaptive").checked = settings.adaptive;
    $("adaptive").disabled = settings.detector === "auto";
    $("preset").value = settings.preset;
    for (const radio of document.getElementsByName("detector")) {
      radio.checked = radio.value === settings.detector;
    }
  }
}

/** Buttons that play each moment, and answer it. */
class MomentList {
  constructor(page) {
    this.page = page;
    this.items = page.state.moments.map((moment, index) => {
      const go = create("button", { type: "button", className: "go" });
      go.addEventListener("click", () => page.goToMoment(index));
      const answers = ["keep", "cut"].map((kind) => {
        const button = create("button", { type: "button", textContent: kind === "keep" ? "Keep" : "Cut" });
        button.setAttribute("aria-label", `${button.textContent} at ${formatPosition(page.data, moment.time)}`);
        button.addEventListener("click", () => page.answerMoment(moment, kind));
        return [kind, button];
      });
      $("moments").append(create("li", {}, create("div", {}, go, ...answers.map(([, button]) => button))));
      return { moment, go, answers };
    });
  }

  describe({ kind, value }) {
    if (kind === "sound" || kind === "pause") {
      const side = value > 0 ? "above" : "below";
      const size = Math.abs(value).toFixed(2);
      const distance = this.page.data.unit ? `${size} ${this.page.data.unit}` : `score ${size}`;
      return `${kind}, ${distance} ${side} the threshold`;
    }
    if (kind === "loudest") return `loudest, ${formatLevel(value, 1)} dBFS`;
    return `${kind === "decay" ? "decay" : "attack"} cut off, ${value.toFixed(0)} dB above the pause`;
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

/** The marked stretches, each with a button that removes it. */
class MarkList {
  constructor(page) {
    this.page = page;
  }

  show() {
    const { page } = this;
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
