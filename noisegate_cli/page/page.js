// The page: its state, and what happens when the user changes it.

const PLAYED_AROUND_S = 1.5; // on either side of a moment
const MARKED_AROUND_S = 0.3; // on either side of a moment in a longer segment
const MAX_MARKED_S = 3;
const MIN_VIEW_S = 0.05;
const SUMMARY_DELAY_MS = 700;

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
    this.controls = new ControlPanel(this);
    this.moments = new MomentList(this);
    this.marks = new MarkList(this);
    createKeys();
    listenToControls(this);
    listenToPointer(this);
    listenToKeys(this);
    this.update();
  }

  createSettings() {
    return { preset: findPreset(this.data), ...this.data.settings };
  }

  // Computing

  /** Compute the gate again after a change, and show what results. */
  update() {
    const { data, state } = this;
    state.masks = computeMasks(data, state.settings, state.marks);
    state.mask = mergeMasks(state.masks);
    state.gains = computeGains(data, state.settings, state.masks, state.marks);
    this.curves = state.gains.map((gains) => createGainCurve(data, gains));
    state.gainSums = new Float64Array(data.frames + 1);
    for (let k = 0; k < data.frames; k++) {
      let sum = 0;
      for (const gains of state.gains) sum += gains[k];
      state.gainSums[k + 1] = state.gainSums[k] + sum / data.gates;
    }
    $("command").value = formatCommand(data, state.settings, state.marks);
    this.showSummary();
    this.controls.show();
    this.moments.show();
    this.marks.show();
    this.refreshSound();
    this.draw();
  }

  /** Compute the sound again, but not for every step of a drag. */
  refreshSound() {
    this.refreshTimer ??= setTimeout(() => {
      this.refreshTimer = null;
      this.matchingGain = this.state.match ? computeMatchingGain(this.data, this.state) : 1;
      this.player.refresh();
    }, 60);
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

  drawPictures() {
    this.picture.draw(this.state);
    drawOverview($("overview"), this.data, this.state, this.picture.colors);
  }

  draw() {
    if (this.isDrawing) return;
    this.isDrawing = true;
    requestAnimationFrame(() => {
      this.isDrawing = false;
      this.state.position = this.player.position;
      this.drawPictures();
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
    const audible = data.sounds.reduce((sum, sound) => sum + sound.end_s - sound.start_s, 0);
    if (audible < this.duration - 0.1) facts.push(`${formatTime(audible, 0)} of its audio on this page`);
    $("facts").textContent = facts.join(", ");
    $("seek").max = this.duration.toFixed(2);
    const options = data.command.not_previewed;
    $("limits").hidden = !options;
    $("limits").textContent = `This page plays the gate without ${options}. The command contains it.`;
  }

  showSummary() {
    const { data, state } = this;
    const frames = data.frames * data.gates || 1;
    let open = 0;
    for (const mask of state.masks) for (const [first, after] of listRuns(mask)) open += after - first;
    const segments = listSegments(data, state.mask).length;
    const share = (100 * (1 - open / frames)).toFixed(1);
    const text = `Closed ${share}% of the time, ${segments} open segment${segments === 1 ? "" : "s"}.`;
    $("summary").textContent = text;
    // A screen reader announces it when the user stops dragging.
    clearTimeout(this.summaryTimer);
    this.summaryTimer = setTimeout(() => ($("spoken-summary").textContent = text), SUMMARY_DELAY_MS);
  }

  showPosition() {
    const { position } = this.state;
    const text = `${formatPosition(this.data, position)}, ${this.isOpenAt(position) ? "open" : "closed"}`;
    if ($("position").value === text) return;
    $("position").value = text;
    $("seek").value = position;
    // During playback, a screen reader would announce every change.
    if (!this.player.isPlaying) $("seek").setAttribute("aria-valuetext", text);
  }

  showPlayState() {
    $("play").textContent = this.player.isPlaying ? "Pause" : "Play";
    this.draw();
  }

  /** Compute the gate again before the page is drawn. */
  requestUpdate() {
    if (this.isUpdating) return;
    this.isUpdating = true;
    requestAnimationFrame(() => {
      this.isUpdating = false;
      this.update();
    });
  }

  /** Change a setting; the threshold and the ratio need the detector that uses the level. */
  changeSetting(name, value) {
    const { settings } = this.state;
    const decimals = name.endsWith("_db") ? 10 : 1000;
    settings[name] = value === null ? null : Math.round(value * decimals) / decimals;
    const needsLevel = name === "threshold_db" || settings.ratio !== null;
    if (needsLevel && settings.detector !== "level") {
      settings.detector = "level";
      this.announce("The gate now uses the threshold.");
    }
    this.requestUpdate();
  }

  setDetector(detector) {
    const { settings } = this.state;
    settings.detector = detector;
    if (detector === "auto" && settings.ratio !== null) {
      settings.ratio = null;
      this.announce("The expander is off: it needs a threshold.");
    }
    this.update();
  }

  // Moments

  goToMoment(index) {
    const moment = this.state.moments[index];
    this.moment = index;
    this.setView(moment.time - 4, moment.time + 4);
    this.announce(`Moment ${index + 1} of ${this.state.moments.length}: ${this.moments.items[index].go.textContent}`);
    this.play(Math.max(0, moment.time - PLAYED_AROUND_S), moment.time + PLAYED_AROUND_S);
  }

  /** Mark the open or closed segment around a moment if it is short, or else the moment itself. */
  markMoment(moment, kind) {
    const mark = this.state.marks.find((m) => m.start <= moment.time && moment.time < m.end);
    if (mark) {
      if (mark.kind === kind) this.removeMark(mark);
      else this.addMark(mark.start, mark.end, kind);
      return;
    }
    let [start, end] = this.findSegment(moment.time);
    if (end - start > MAX_MARKED_S) {
      [start, end] = [moment.time - MARKED_AROUND_S, moment.time + MARKED_AROUND_S];
    }
    this.addMark(start, end, kind);
  }

  /** Return the segment around a time in which the gate keeps its state. */
  findSegment(time) {
    const edges = listSegments(this.data, this.state.mask).flat();
    const after = edges.findIndex((edge) => edge > time);
    if (after < 0) return [edges.at(-1) ?? 0, this.duration];
    return [after ? edges[after - 1] : 0, edges[after]];
  }

  // Marks

  select(start, end) {
    const clip = (time) => Math.max(0, Math.min(this.duration, time));
    this.state.selection = { start: clip(Math.min(start, end)), end: clip(Math.max(start, end)) };
    $("from").value = (this.state.selection.start + this.data.offset_s).toFixed(2);
    $("to").value = (this.state.selection.end + this.data.offset_s).toFixed(2);
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
      this.announce("Choose a segment first: drag over the waveform, or type its times.");
      return;
    }
    this.addMark(selection.start, selection.end, kind);
    this.clearSelection();
  }

  addMark(start, end, kind) {
    const round = (time) => Math.round(Math.max(0, Math.min(this.duration, time)) * 100) / 100;
    const mark = { start: round(start), end: round(end), kind };
    if (mark.start >= mark.end) return;
    this.state.marks = insertMark(this.state.marks, mark);
    this.announce(`${kind === "keep" ? "Kept" : "Cut"}: ${formatSpan(this.data, mark)}.`);
    this.update();
  }

  removeMark(mark) {
    this.state.marks = this.state.marks.filter((m) => m !== mark);
    this.announce("The mark was removed.");
    this.update();
  }

  // Playing and moving

  async play(time, until) {
    let start = time;
    if (!this.player.findSound(start)) {
      const next = this.data.sounds.find((sound) => sound.start_s >= start) ?? this.data.sounds[0];
      if (!next) {
        this.announce("This recording has no audio.");
        return;
      }
      start = next.start_s;
      this.announce(`The page has no audio there. Playback starts at ${formatPosition(this.data, start)}.`);
    }
    const timer = setTimeout(() => this.announce("The audio output of this browser does not start."), 2000);
    try {
      await this.player.play(start, until);
    } catch (error) {
      this.announce(`This browser cannot play the sound: ${error.message}`);
    }
    clearTimeout(timer);
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

  /** Move the view on if the position leaves it. */
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
    this.announce("The command was copied.");
  }

  saveLabels() {
    const text = formatLabels(this.data, this.state.masks);
    const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    create("a", { href: url, download: `${this.data.name}.txt` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    this.announce("The labels were saved.");
  }
}
