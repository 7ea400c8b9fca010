// Connect the data, the gate, the player and the controls of the page.

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
const MOMENT_S = 1.5;
const MOMENT_REACH_S = 0.3;
const MIN_VIEW_S = 0.05;
const MIN_MARK_S = 0.005; // Marks are rounded to hundredths.
const KEYS = [
  ["Space", "play or pause"],
  ["1, 2, 3", "hear before, after, removed"],
  ["M", "match loudness"],
  ["← →", "back or forward by a second, with Shift by a tenth"],
  ["+ −, 0", "zoom in, zoom out, all; Ctrl with the wheel zooms too"],
  ["N, P", "next or previous moment"],
  [", .", "threshold down or up by half a decibel"],
  ["[ ]", "start or end of a stretch, here"],
  ["K, X", "keep or cut the stretch"],
  ["Esc", "forget the stretch"],
  ["C, S", "copy the command, save the labels"],
];

const $ = (id) => document.getElementById(id);

function create(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

async function unpack(text, Type) {
  const stream = new Blob([decodeBase64(text)]).stream();
  const inflated = stream.pipeThrough(new DecompressionStream("deflate"));
  return new Type(await new Response(inflated).arrayBuffer());
}

/** Replace the packed tracks of the data by arrays; there is one array for each gate. */
async function unpackTracks(data) {
  const split = (codes) =>
    Array.from({ length: data.gates }, (_, g) => codes.subarray(g * data.frames, (g + 1) * data.frames));
  data.levels = split(await unpack(data.levels, Uint16Array));
  data.scores = split(await unpack(data.scores, Int16Array));
  data.peaks = await unpack(data.peaks, Int8Array);
  const pictures = [data.picture, ...data.details].map((text) => unpack(text, Uint8Array));
  [data.picture, ...data.details] = await Promise.all(pictures);
}

/** Return the preset from which the settings differ least. */
function findPreset(data) {
  const differences = ([, preset]) =>
    Object.keys(preset).filter((name) => preset[name] !== data.settings[name]).length;
  return Object.entries(data.presets).sort((a, b) => differences(a) - differences(b))[0][0];
}

class Page {
  constructor(data) {
    this.data = data;
    this.duration = data.samples / data.sample_rate;
    this.state = {
      settings: this.createSettings(),
      listen: "after",
      match: false,
      marks: [],
      selection: null,
      view: { start: 0, end: Math.max(this.duration, MIN_VIEW_S) },
      position: data.sounds.length ? data.sounds[0].start_s : 0,
      moments: data.moments,
    };
    this.player = new Player(data, (channel) => this.getFactor(channel), () => this.showPlayState());
    this.player.time = this.state.position;
    this.matchingGain = 1;
    this.picture = new Picture(data, $("view"));
    this.showFacts();
    this.createControls();
    this.createMoments();
    this.createKeys();
    this.listenToInputs();
    this.listenToPointer();
    this.listenToKeys();
    this.update();
  }

  createSettings() {
    const { data } = this;
    return {
      preset: findPreset(data),
      detector: "auto",
      threshold_db: data.threshold_db,
      ...data.settings,
    };
  }

  // Computing

  /** Compute the gate again after a change, and show what results. */
  update() {
    const { data, state } = this;
    state.masks = computeMasks(data, state.settings, state.marks);
    state.mask = mergeMasks(state.masks);
    state.gains = state.masks.map((mask) => computeGains(data, state.settings, mask));
    this.curves = state.gains.map((gains) => createGainCurve(data, gains));
    state.gainSums = new Float64Array(data.frames + 1);
    for (let k = 0; k < data.frames; k++) {
      let sum = 0;
      for (const gains of state.gains) sum += gains[k];
      state.gainSums[k + 1] = state.gainSums[k] + sum / data.gates;
    }
    $("command").value = formatCommand(data, state.settings, state.marks);
    this.showSummary();
    this.showControls();
    this.showMoments();
    this.showMarks();
    this.refreshSound();
    this.draw();
  }

  /** Compute the sound again, but not for every step of a drag. */
  refreshSound() {
    this.refreshTimer ??= setTimeout(() => {
      this.refreshTimer = null;
      this.matchingGain = this.state.match ? this.computeMatchingGain() : 1;
      this.player.refresh();
    }, 60);
  }

  computeMatchingGain() {
    const { data, state } = this;
    const frame = (seconds) => Math.round((seconds * data.sample_rate) / data.hop_length);
    const levelAt = (k) => {
      const code = Math.max(...data.levels.map((levels) => levels[k]));
      return code ? 10 ** ((data.level_offset_db + data.level_step_db * code) / 20) : 0;
    };
    const [start, end] = [Math.max(0, frame(state.view.start)), Math.min(data.frames, frame(state.view.end))];
    return computeMatchingGain(state.listen, state.gains[0], levelAt, start, end);
  }

  /** Return the factor of a channel as a function of time. */
  getFactor(channel) {
    const { curves, matchingGain, state, data } = this;
    if (state.listen === "before") return () => 1;
    const isMixed = curves.length > 1 && curves.length !== data.sounds[0].channels;
    const gain = isMixed
      ? (time) => Math.max(...curves.map((curve) => curve(time)))
      : curves[Math.min(channel, curves.length - 1)];
    if (state.listen === "after") return (time) => matchingGain * gain(time);
    return (time) => matchingGain * (1 - gain(time));
  }

  isOpenAt(time) {
    const frame = Math.round((time * this.data.sample_rate) / this.data.hop_length);
    return this.state.mask[Math.min(frame, this.data.frames - 1)] === 1;
  }

  // Showing

  draw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      this.state.position = this.player.position;
      this.picture.draw(this.state);
      drawOverview($("overview"), this.data, this.state, this.picture.colors);
      this.showPosition();
      if (this.player.isPlaying) {
        this.followPosition();
        this.draw();
      }
    });
  }

  announce(text) {
    $("status").textContent = text;
  }

  showFacts() {
    const { data } = this;
    $("name").textContent = data.name;
    const channels = { 1: "mono", 2: "stereo" }[data.channels] ?? `${data.channels} channels`;
    const facts = [formatTime(this.duration), `${data.sample_rate} Hz`, channels];
    const heard = data.sounds.reduce((sum, sound) => sum + sound.end_s - sound.start_s, 0);
    if (heard < this.duration - 0.1) facts.push(`${formatTime(heard, 0)} of its sound on this page`);
    $("facts").textContent = facts.join(", ");
    $("seek").max = this.duration.toFixed(2);
  }

  showSummary() {
    const { data, state } = this;
    const frames = data.frames * data.gates || 1;
    let open = 0;
    for (const mask of state.masks) for (const [first, after] of listRuns(mask)) open += after - first;
    const stretches = listStretches(data, state.mask).length;
    const share = (100 * (1 - open / frames)).toFixed(1);
    $("summary").textContent = `Closed ${share} % of the time, ${stretches} open stretch${stretches === 1 ? "" : "es"}.`;
  }

  showPosition() {
    const { position } = this.state;
    const text = `${formatTime(position)}, ${this.isOpenAt(position) ? "open" : "closed"}`;
    if ($("position").value === text) return;
    $("position").value = text;
    $("seek").value = position;
    $("seek").setAttribute("aria-valuetext", text);
  }

  showPlayState() {
    $("play").textContent = this.player.isPlaying ? "Pause" : "Play";
    this.draw();
  }

  createControls() {
    for (const [name, label, unit, min, max, step] of CONTROL_TABLE) {
      const range = create("input", { type: "range", id: name, min, max, step });
      const number = create("input", { type: "number", id: `${name}_number`, min, step: "any" });
      number.max = unit === "ms" ? MAX_TIME_MS : unit === "dB" && name !== "range_db" ? "" : max;
      number.setAttribute("aria-label", `${label}, ${unit}`);
      const set = (event) => {
        const value = Number(event.target.value);
        if (event.target.value === "" || !event.target.validity.valid) return;
        this.changeSetting(name, value);
      };
      range.addEventListener("input", set);
      number.addEventListener("change", set);
      const title = create("label", { htmlFor: name, textContent: label });
      const box = create("span", { className: "number" }, number, ` ${unit}`);
      $("controls").append(create("div", { className: "control" }, title, range, box));
    }
    const mute = create("input", { type: "checkbox", id: "mute" });
    mute.addEventListener("change", () => this.changeSetting("range_db", mute.checked ? null : -24));
    $("controls").append(create("label", {}, mute, "Mute: closed is silence"));
    for (const name of Object.keys(this.data.presets)) {
      $("preset").append(create("option", { value: name, textContent: name }));
    }
  }

  showControls() {
    const { settings } = this.state;
    for (const [name] of CONTROL_TABLE) {
      const value = settings[name] ?? -60;
      $(name).value = value;
      if (document.activeElement !== $(`${name}_number`)) $(`${name}_number`).value = formatNumber(value);
    }
    $("mute").checked = settings.range_db === null;
    $("range_db").disabled = $("range_db_number").disabled = settings.range_db === null;
    $("hysteresis_db").disabled = $("hysteresis_db_number").disabled = settings.detector === "auto";
    $("preset").value = settings.preset;
    for (const radio of document.getElementsByName("detector")) {
      radio.checked = radio.value === settings.detector;
    }
  }

  /** Compute the gate again before the next picture. */
  requestUpdate() {
    if (this.isUpdating) return;
    this.isUpdating = true;
    requestAnimationFrame(() => {
      this.isUpdating = false;
      this.update();
    });
  }

  /** Change a setting; a change of the threshold chooses the detector that uses it. */
  changeSetting(name, value) {
    const { settings } = this.state;
    const decimals = name.endsWith("_db") ? 10 : 1000;
    settings[name] = value === null ? null : Math.round(value * decimals) / decimals;
    if (name === "threshold_db" && settings.detector !== "level") {
      settings.detector = "level";
      this.announce("The gate goes by the threshold now.");
    }
    this.requestUpdate();
  }

  // Moments

  describeMoment({ kind, value }) {
    if (kind === "sound" || kind === "pause") {
      const side = value > 0 ? "above" : "below";
      const size = Math.abs(value).toFixed(2);
      const distance = this.data.unit ? `${size} ${this.data.unit}` : `score ${size}`;
      return `${kind}, ${distance} ${side} the threshold`;
    }
    if (kind === "loudest") return `loudest, ${formatNumber(value).replace("-", "−")} dBFS`;
    return `${kind === "decay" ? "decay" : "attack"} cut off, ${value.toFixed(0)} dB above the pause`;
  }

  createMoments() {
    this.momentItems = this.state.moments.map((moment, index) => {
      const go = create("button", { type: "button", className: "go" });
      go.addEventListener("click", () => this.goToMoment(index));
      const answers = ["keep", "cut"].map((kind) => {
        const button = create("button", { type: "button", textContent: kind === "keep" ? "Keep" : "Cut" });
        button.setAttribute("aria-label", `${button.textContent} at ${formatTime(moment.time)}`);
        button.addEventListener("click", () => this.answerMoment(moment, kind));
        return [kind, button];
      });
      $("moments").append(create("li", {}, create("div", {}, go, ...answers.map(([, button]) => button))));
      return { moment, go, answers };
    });
  }

  showMoments() {
    for (const { moment, go, answers } of this.momentItems) {
      const state = this.isOpenAt(moment.time) ? "open" : "closed";
      go.textContent = `${formatTime(moment.time)}: ${this.describeMoment(moment)} (now ${state})`;
      const mark = this.state.marks.find((m) => m.start <= moment.time && moment.time < m.end);
      for (const [kind, button] of answers) button.setAttribute("aria-pressed", mark?.kind === kind);
    }
  }

  goToMoment(index) {
    const moment = this.state.moments[index];
    this.moment = index;
    this.setView(moment.time - 4, moment.time + 4);
    this.announce(`Moment ${index + 1} of ${this.state.moments.length}: ${this.momentItems[index].go.textContent}`);
    this.play(Math.max(0, moment.time - MOMENT_S), moment.time + MOMENT_S);
  }

  /** Mark the open stretch around a moment if it is short, or else the moment itself. */
  answerMoment(moment, kind) {
    const pressed = this.state.marks.find((m) => m.start <= moment.time && moment.time < m.end);
    if (pressed?.kind === kind) {
      this.removeMark(pressed);
      return;
    }
    let [start, end] = [moment.time - MOMENT_REACH_S, moment.time + MOMENT_REACH_S];
    const stretches = listStretches(this.data, this.state.mask);
    const around = stretches.find(([a, b]) => a <= moment.time && moment.time < b);
    if (around && around[1] - around[0] < 2 * MOMENT_S) [start, end] = around;
    this.addMark(start, end, kind);
  }

  // Marks

  select(start, end) {
    const clip = (time) => Math.max(0, Math.min(this.duration, time));
    this.state.selection = { start: clip(Math.min(start, end)), end: clip(Math.max(start, end)) };
    $("from").value = this.state.selection.start.toFixed(2);
    $("to").value = this.state.selection.end.toFixed(2);
    this.draw();
  }

  clearSelection() {
    this.state.selection = null;
    $("from").value = $("to").value = "";
    this.draw();
  }

  markSelection(kind) {
    const { selection } = this.state;
    if (!selection || selection.end - selection.start < MIN_MARK_S) {
      this.announce("Choose a stretch first: drag over the waveform, or type its times.");
      return;
    }
    this.addMark(selection.start, selection.end, kind);
    this.clearSelection();
  }

  /** Add a mark; marks don't overlap, so that their order doesn't matter. */
  addMark(start, end, kind) {
    const round = (time) => Math.round(Math.max(0, Math.min(this.duration, time)) * 100) / 100;
    const mark = { start: round(start), end: round(end), kind };
    if (mark.start >= mark.end) return;
    const rest = this.state.marks.flatMap((m) => [
      { ...m, end: Math.min(m.end, mark.start) },
      { ...m, start: Math.max(m.start, mark.end) },
    ]);
    const kept = rest.filter((m) => m.end - m.start > MIN_MARK_S);
    this.state.marks = [...kept, mark].sort((a, b) => a.start - b.start);
    this.announce(`${kind === "keep" ? "Kept" : "Cut"}: ${formatTime(mark.start)} to ${formatTime(mark.end)}.`);
    this.update();
  }

  removeMark(mark) {
    this.state.marks = this.state.marks.filter((m) => m !== mark);
    this.announce("The mark is removed.");
    this.update();
  }

  showMarks() {
    const items = this.state.marks.map((mark) => {
      const text = `${mark.kind} ${formatTime(mark.start)} to ${formatTime(mark.end)}`;
      const remove = create("button", { type: "button", textContent: "Remove" });
      remove.setAttribute("aria-label", `Remove: ${text}`);
      remove.addEventListener("click", () => {
        this.removeMark(mark);
        $("keep").focus();
      });
      return create("li", {}, create("div", {}, text, remove));
    });
    $("marks").replaceChildren(...items);
  }

  // Playing and moving

  async play(time, until) {
    let start = time;
    if (!this.player.findSound(start)) {
      const next = this.data.sounds.find((sound) => sound.start_s >= start) ?? this.data.sounds[0];
      if (!next) {
        this.announce("This recording has no sound.");
        return;
      }
      start = next.start_s;
      this.announce(`The page has no sound there. It plays from ${formatTime(start)}.`);
    }
    try {
      await this.player.play(start, until);
    } catch (error) {
      this.announce(`This browser can't play the sound: ${error.message}`);
    }
    this.showPlayState();
  }

  togglePlay() {
    if (this.player.isPlaying) this.player.stop();
    else this.play(this.player.time >= this.duration - 0.01 ? 0 : this.player.time);
  }

  setPosition(time) {
    const position = Math.max(0, Math.min(this.duration, time));
    if (this.player.isPlaying) this.play(position);
    this.player.time = position;
    this.followPosition(position);
    this.draw();
  }

  setView(start, end) {
    const length = Math.min(this.duration || MIN_VIEW_S, Math.max(MIN_VIEW_S, end - start));
    const first = Math.max(0, Math.min(start, this.duration - length));
    this.state.view = { start: first, end: first + length };
    this.refreshSound();
    this.draw();
  }

  zoom(factor, center = this.player.position) {
    const { start, end } = this.state.view;
    const middle = center >= start && center <= end ? center : (start + end) / 2;
    this.setView(middle - (middle - start) * factor, middle + (end - middle) * factor);
  }

  scroll(seconds) {
    this.setView(this.state.view.start + seconds, this.state.view.end + seconds);
  }

  /** Turn the page of the view if the position leaves it. */
  followPosition(position = this.player.position) {
    const { start, end } = this.state.view;
    if (position >= start && position <= end) return;
    const length = end - start;
    this.setView(position - 0.1 * length, position + 0.9 * length);
  }

  setListen(listen) {
    this.state.listen = listen;
    for (const radio of document.getElementsByName("listen")) radio.checked = radio.value === listen;
    this.refreshSound();
  }

  toggleMatch(match) {
    this.state.match = match;
    $("match").checked = match;
    this.refreshSound();
  }

  // Results

  async copyCommand() {
    const field = $("command");
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select();
      document.execCommand("copy");
    }
    this.announce("The command is copied.");
  }

  saveLabels() {
    const text = formatLabels(this.data, this.state.masks);
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    create("a", { href: url, download: `${this.data.name}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    this.announce("The labels are saved.");
  }

  // Inputs

  listenToInputs() {
    const on = (id, type, action) => $(id).addEventListener(type, action);
    on("play", "click", () => this.togglePlay());
    on("match", "change", (event) => this.toggleMatch(event.target.checked));
    on("seek", "input", (event) => this.setPosition(Number(event.target.value)));
    on("zoom-in", "click", () => this.zoom(0.5));
    on("zoom-out", "click", () => this.zoom(2));
    on("zoom-all", "click", () => this.setView(0, this.duration));
    on("keep", "click", () => this.markSelection("keep"));
    on("cut", "click", () => this.markSelection("cut"));
    on("copy", "click", () => this.copyCommand());
    on("save", "click", () => this.saveLabels());
    on("preset", "change", (event) => {
      const preset = event.target.value;
      Object.assign(this.state.settings, this.data.presets[preset], { preset });
      this.announce(`Preset ${preset}.`);
      this.update();
    });
    on("reset", "click", () => {
      this.state.settings = this.createSettings();
      this.update();
    });
    for (const id of ["from", "to"]) {
      on(id, "change", () => {
        if ($("from").value && $("to").value) this.select(Number($("from").value), Number($("to").value));
      });
    }
    for (const radio of document.getElementsByName("listen")) {
      radio.addEventListener("change", () => this.setListen(radio.value));
    }
    for (const radio of document.getElementsByName("detector")) {
      radio.addEventListener("change", () => {
        this.state.settings.detector = radio.value;
        this.update();
      });
    }
    addEventListener("resize", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.picture.applyScheme();
      this.draw();
    });
  }

  isNearThreshold(event, reach) {
    const y = event.clientY - $("view").getBoundingClientRect().top;
    return Math.abs(y - this.picture.yOfLevel(this.state.settings.threshold_db)) <= reach;
  }

  listenToPointer() {
    const view = $("view");
    const offset = (event) => {
      const box = view.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const timeAt = (event) => this.picture.timeAt(offset(event)[0], this.state.view);
    let drag = null;
    view.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      const isThreshold = this.isNearThreshold(event, event.pointerType === "mouse" ? 8 : 18);
      drag = { isThreshold, time: timeAt(event), x: event.clientX, moved: false };
      view.setPointerCapture(event.pointerId);
    });
    view.addEventListener("pointermove", (event) => {
      if (!drag) {
        view.style.cursor = this.isNearThreshold(event, 8) ? "ns-resize" : "crosshair";
      } else if (drag.isThreshold) {
        const level = Math.max(-100, Math.min(0, this.picture.levelAtY(offset(event)[1])));
        this.changeSetting("threshold_db", level);
      } else if (drag.moved || Math.abs(event.clientX - drag.x) > 4) {
        drag.moved = true;
        this.select(drag.time, timeAt(event));
      }
    });
    view.addEventListener("pointerup", (event) => {
      if (drag && !drag.isThreshold && !drag.moved) this.setPosition(timeAt(event));
      drag = null;
    });
    view.addEventListener("pointercancel", () => (drag = null));
    // A finger on the threshold line must not scroll the page.
    view.addEventListener(
      "touchstart",
      (event) => {
        if (this.isNearThreshold(event.touches[0], 18)) event.preventDefault();
      },
      { passive: false },
    );
    view.addEventListener(
      "wheel",
      (event) => {
        const length = this.state.view.end - this.state.view.start;
        if (event.ctrlKey || event.metaKey) this.zoom(2 ** (event.deltaY / 200), timeAt(event));
        else if (event.deltaX || event.shiftKey) {
          this.scroll(((event.deltaX || event.deltaY) / view.clientWidth) * length);
        } else return;
        event.preventDefault();
      },
      { passive: false },
    );
    $("overview").addEventListener("pointerdown", (event) => {
      const box = $("overview").getBoundingClientRect();
      this.setPosition(((event.clientX - box.left) / box.width) * this.duration);
    });
  }

  createKeys() {
    for (const [key, meaning] of KEYS) {
      $("keys").append(create("dt", {}, create("kbd", { textContent: key })), create("dd", { textContent: meaning }));
    }
  }

  createKeyTable() {
    const { player } = this;
    const step = (event) => (event.shiftKey ? 0.1 : 1);
    const moveMoment = (by) => {
      const count = this.state.moments.length;
      const first = by > 0 ? 0 : count - 1;
      if (count) this.goToMoment(this.moment === undefined ? first : (this.moment + by + count) % count);
    };
    const moveThreshold = (by) => this.changeSetting("threshold_db", Math.min(0, this.state.settings.threshold_db + by));
    const start = () => this.state.selection?.start ?? player.position;
    const end = () => this.state.selection?.end ?? player.position;
    return {
      " ": () => this.togglePlay(),
      1: () => this.setListen("before"),
      2: () => this.setListen("after"),
      3: () => this.setListen("removed"),
      m: () => this.toggleMatch(!this.state.match),
      ArrowLeft: (event) => this.setPosition(player.position - step(event)),
      ArrowRight: (event) => this.setPosition(player.position + step(event)),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.setView(0, this.duration),
      n: () => moveMoment(1),
      p: () => moveMoment(-1),
      ",": () => moveThreshold(-0.5),
      ".": () => moveThreshold(0.5),
      "[": () => this.select(player.position, Math.max(end(), player.position)),
      "]": () => this.select(Math.min(start(), player.position), player.position),
      k: () => this.markSelection("keep"),
      x: () => this.markSelection("cut"),
      c: () => this.copyCommand(),
      s: () => this.saveLabels(),
      Escape: () => this.clearSelection(),
    };
  }

  listenToKeys() {
    const table = this.createKeyTable();
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !$("shortcuts").checked) return;
      const { target } = event;
      const isText = target.matches('select, textarea, input[type="number"]');
      const usesArrows = target.matches('input[type="range"], input[type="radio"]');
      const usesSpace = target.matches("button, summary, input");
      const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
      if (isText || (usesArrows && key.startsWith("Arrow")) || (usesSpace && key === " ")) return;
      const action = table[key];
      if (!action) return;
      event.preventDefault();
      action(event);
    });
  }
}

async function start() {
  const data = JSON.parse($("data").textContent);
  await unpackTracks(data);
  window.ngate = { page: new Page(data), computeMasks, computeGains, formatCommand, formatLabels };
}

start().catch((error) => {
  $("status").textContent = `This browser can't show the page: ${error.message}`;
  throw error;
});
