// Draw the waveform, the level, the score and the spectrogram.

const GAP = 6;
const AXIS_HEIGHT = 18;
const FONT = "11px system-ui, sans-serif";
const SCORE_RANGE = [-1, 1.4];

/** Drawing of the visible part of the recording on a canvas. */
class Picture {
  constructor(data, canvas) {
    this.data = data;
    this.canvas = canvas;
    this.levelRange = this.findLevelRange();
    this.applyScheme();
    this.layOut();
  }

  /** Take the colors of the page, and draw the image of the spectrogram in them. */
  applyScheme() {
    const style = getComputedStyle(document.documentElement);
    const names = ["text", "muted", "wave", "level", "score", "threshold", "closed", "select"];
    names.push("keep", "cut", "grid", "panel", "cursor");
    this.colors = Object.fromEntries(
      names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const scheme = isDark && !document.documentElement.classList.contains("printed") ? "dark" : "light";
    const { data } = this;
    const create = (shades) => createSpectrogramImage(data, shades, scheme);
    const rate = data.sample_rate;
    this.spectrograms = [
      { image: create(data.spectrogram), start: 0, columnS: data.spectrogram_column / rate },
      ...data.details.map((shades, index) => ({
        image: create(shades),
        start: data.sounds[index].start_s,
        columnS: data.detail_column / rate,
      })),
    ];
  }

  findLevelRange() {
    const { levels, level_step_db: step, level_offset_db: offset } = this.data;
    const tracks = levels.map((codes) => codes.filter((code) => code > 0).sort());
    const audible = tracks.filter((codes) => codes.length);
    if (!audible.length) return [-90, 0];
    const db = (share) => audible.map((codes) => offset + step * codes[Math.floor(share * (codes.length - 1))]);
    return [
      Math.max(-120, Math.floor(Math.min(...db(0.01)) / 10) * 10 - 10),
      Math.ceil(Math.max(...db(1)) / 10) * 10,
    ];
  }

  /** Fit the canvas to its size on the screen, and place the lanes. */
  layOut() {
    const { canvas } = this;
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    this.context = canvas.getContext("2d");
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const rows = { wave: 3, level: 4, score: 2, spectrogram: 4 };
    const total = Object.values(rows).reduce((sum, row) => sum + row, 0);
    const free = height - AXIS_HEIGHT - GAP * (Object.keys(rows).length - 1);
    this.lanes = {};
    let top = AXIS_HEIGHT;
    for (const [name, row] of Object.entries(rows)) {
      this.lanes[name] = { top, height: (free * row) / total };
      top += this.lanes[name].height + GAP;
    }
    this.width = width;
  }

  timeAt(x, view) {
    return view.start + (x / this.canvas.clientWidth) * (view.end - view.start);
  }

  yOfLevel(db) {
    const { top, height } = this.lanes.level;
    const [low, high] = this.levelRange;
    return top + height * (1 - (Math.max(low, Math.min(high, db)) - low) / (high - low));
  }

  levelAtY(y) {
    const { top, height } = this.lanes.level;
    const [low, high] = this.levelRange;
    return high - ((y - top) / height) * (high - low);
  }

  /** Return how much an adaptive threshold is above its median at a time, in dB. */
  driftAt(time, settings) {
    const { sample_rate: rate, hop_length: hop } = this.data;
    return settings.adaptive ? computeDrift(this.data, (time * rate) / hop) : 0;
  }

  /** Draw everything for the state of the page. */
  draw(state) {
    this.layOut();
    const { context, colors, lanes, width } = this;
    const { start, end } = state.view;
    this.x = (seconds) => ((seconds - start) / (end - start)) * width;
    this.start = start;
    this.secondsPerPixel = (end - start) / width;
    context.clearRect(0, 0, width, this.canvas.clientHeight);
    for (const { top, height } of Object.values(lanes)) {
      context.fillStyle = colors.panel;
      context.fillRect(0, top, width, height);
    }
    this.drawSpectrogram();
    this.drawAxis(state);
    this.drawWaveform(state);
    this.drawClosed(state);
    this.drawLevels(state);
    this.drawScores(state);
    this.drawMarks(state);
    this.drawThreshold(state);
    this.drawFrequencies();
    this.drawLevelLabels();
    this.drawNames(state);
    this.drawCursor(state);
  }

  drawAxis({ view }) {
    const { context, colors } = this;
    const wanted = this.secondsPerPixel * 90;
    const steps = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((s) => s >= wanted) ?? 7200;
    const digits = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    context.font = FONT;
    const { offset_s: offset } = this.data;
    for (let n = Math.ceil((view.start + offset) / step); n * step <= view.end + offset; n++) {
      const x = this.x(n * step - offset);
      context.fillStyle = colors.grid;
      context.fillRect(x, AXIS_HEIGHT - 4, 1, 4);
      context.fillStyle = colors.muted;
      context.fillText(formatTime(n * step, digits), x + 3, 11);
    }
  }

  drawSpectrogram() {
    const { context, data, lanes, width } = this;
    const { top, height } = lanes.spectrogram;
    context.save();
    context.beginPath();
    context.rect(0, top, width, height);
    context.clip();
    // The first frame of a column is centered on its first sample.
    const shift = data.frame_length / 4 / data.sample_rate;
    for (const { image, start, columnS } of this.spectrograms) {
      const [left, right] = [this.x(start - shift), this.x(start - shift + image.width * columnS)];
      if (!image.width || right < 0 || left > width) continue;
      context.imageSmoothingEnabled = columnS < this.secondsPerPixel;
      context.drawImage(image, left, top, right - left, height);
    }
    context.restore();
  }

  drawFrequencies() {
    const { data, lanes, width } = this;
    const { top, height } = lanes.spectrogram;
    for (const hz of [250, 1000, 4000, 16000]) {
      const edges = data.spectrogram_edges_hz;
      const band = edges.findIndex((edge) => edge >= hz);
      if (band <= 0) continue;
      const share = (band - 1 + (hz - edges[band - 1]) / (edges[band] - edges[band - 1])) / (edges.length - 1);
      this.drawText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, width - 4, top + height * (1 - share) + 4, "right");
    }
  }

  drawText(text, x, y, align = "left") {
    const { context, colors } = this;
    context.font = FONT;
    const width = context.measureText(text).width;
    const left = align === "right" ? x - width : x;
    context.globalAlpha = 0.85;
    context.fillStyle = colors.panel;
    context.fillRect(left - 2, y - 10, width + 4, 13);
    context.globalAlpha = 1;
    context.fillStyle = colors.text;
    context.fillText(text, left, y);
  }

  drawWaveform({ view }) {
    const { context, colors, data, lanes, width } = this;
    const { top, height } = lanes.wave;
    const spanS = data.peak_span / data.sample_rate;
    const middle = top + height / 2;
    const spans = data.peaks.length / 2;
    context.fillStyle = colors.wave;
    for (let x = 0; x < width; x++) {
      const time = view.start + x * this.secondsPerPixel;
      const first = Math.floor(time / spanS);
      const last = Math.max(first + 1, Math.ceil((time + this.secondsPerPixel) / spanS));
      let [low, high] = [127, -127];
      for (let span = first; span < Math.min(last, spans); span++) {
        low = Math.min(low, data.peaks[2 * span]);
        high = Math.max(high, data.peaks[2 * span + 1]);
      }
      if (low > high) continue;
      const scale = height / 2 / 127;
      context.fillRect(x, middle - high * scale, 1, Math.max(1, (high - low) * scale));
    }
  }

  /** Shade the closed parts: the darker a pixel, the more of it is attenuated. */
  drawClosed({ gainSums, settings }) {
    const { context, colors, data, lanes, width } = this;
    const framesPerS = data.sample_rate / data.hop_length;
    const floor = computeClosedGain(settings);
    context.fillStyle = colors.closed;
    for (let x = 0, start = 0, shade = 0; x <= width; x++) {
      const time = this.timeAtPixel(x);
      const first = Math.max(0, Math.min(data.frames - 1, Math.round(time * framesPerS)));
      const last = Math.max(first + 1, Math.min(data.frames, Math.round((time + this.secondsPerPixel) * framesPerS)));
      const gain = (gainSums[last] - gainSums[first]) / (last - first);
      const closed = floor < 1 ? Math.round(8 * (1 - (gain - floor) / (1 - floor))) / 8 : 0;
      if (closed === shade && x < width) continue;
      if (shade > 0) {
        context.globalAlpha = shade;
        for (const name of ["wave", "spectrogram"]) {
          context.fillRect(start, lanes[name].top, x - start, lanes[name].height);
        }
      }
      [start, shade] = [x, closed];
    }
    context.globalAlpha = 1;
  }

  timeAtPixel(x) {
    return this.start + x * this.secondsPerPixel;
  }

  drawLevels({ view }) {
    const { data } = this;
    const db = (code) => (code ? data.level_offset_db + data.level_step_db * code : -Infinity);
    this.context.fillStyle = this.colors.grid;
    for (const level of this.gridLevels) this.context.fillRect(0, this.yOfLevel(level), this.width, 1);
    this.drawTrack(view, data.levels, (code) => this.yOfLevel(db(code)), this.colors.level);
  }

  drawLevelLabels() {
    for (const level of this.gridLevels) {
      this.drawText(`${formatLevel(level)} dB`, this.width - 4, this.yOfLevel(level) - 2, "right");
    }
  }

  get gridLevels() {
    const [low, high] = this.levelRange;
    return [-80, -60, -40, -20, 0].filter((level) => low < level && level < high);
  }

  drawScores({ view }) {
    const { data } = this;
    const y = (code) => this.yOfScore(code * data.score_step);
    this.drawTrack(view, data.scores, y, this.colors.score);
    this.context.fillStyle = this.colors.threshold;
    this.context.fillRect(0, this.yOfScore(data.open_above), this.width, 1);
    this.context.globalAlpha = 0.5;
    this.context.fillRect(0, this.yOfScore(data.close_below), this.width, 1);
    this.context.globalAlpha = 1;
  }

  yOfScore(score) {
    const { top, height } = this.lanes.score;
    const [low, high] = SCORE_RANGE;
    return top + height * (1 - (Math.max(low, Math.min(high, score)) - low) / (high - low));
  }

  /** Draw the highest value of a track at each pixel as a line, and the range below it lightly. */
  drawTrack(view, tracks, y, color) {
    const { context, data, width } = this;
    const framesPerS = data.sample_rate / data.hop_length;
    context.fillStyle = color;
    let previous = null; // y of the line at the pixel before
    for (let x = 0; x < width; x++) {
      const time = this.timeAtPixel(x);
      const first = Math.max(0, Math.floor(time * framesPerS));
      const last = Math.min(data.frames, Math.max(first + 1, Math.floor((time + this.secondsPerPixel) * framesPerS)));
      let [low, high] = [Infinity, -Infinity];
      for (let k = first; k < last; k++) {
        for (const track of tracks) {
          low = Math.min(low, track[k]);
          high = Math.max(high, track[k]);
        }
      }
      if (low > high) continue;
      const lineY = y(high);
      context.globalAlpha = 0.35;
      context.fillRect(x, lineY, 1, y(low) - lineY);
      context.globalAlpha = 1;
      const [topY, bottomY] = [Math.min(lineY, previous ?? lineY), Math.max(lineY, previous ?? lineY)];
      context.fillRect(x, topY, 1, Math.max(1.5, bottomY - topY));
      previous = lineY;
    }
  }

  drawThreshold({ settings }) {
    const { context, colors, width } = this;
    const isLevel = settings.detector === "level";
    const line = (db, alpha, dash) => {
      context.globalAlpha = alpha;
      context.setLineDash(dash);
      context.strokeStyle = colors.threshold;
      context.lineWidth = 2;
      context.beginPath();
      for (let x = 0; x <= width; x += settings.adaptive ? 2 : Math.max(1, width)) {
        context.lineTo(x, this.yOfLevel(db + this.driftAt(this.timeAtPixel(x), settings)));
      }
      context.stroke();
    };
    line(settings.threshold_db, 1, isLevel ? [] : [6, 6]);
    if (isLevel && settings.hysteresis_db > 0) {
      line(settings.threshold_db - settings.hysteresis_db, 0.6, [2, 4]);
    }
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  drawMarks({ marks, selection }) {
    const { context, colors, lanes } = this;
    const bottom = lanes.spectrogram.top + lanes.spectrogram.height;
    const shade = (start, end, color, alpha) => {
      context.globalAlpha = alpha;
      context.fillStyle = color;
      const x = this.x(start);
      context.fillRect(x, AXIS_HEIGHT, Math.max(2, this.x(end) - x), bottom - AXIS_HEIGHT);
      context.globalAlpha = 1;
    };
    for (const mark of marks) {
      shade(mark.start, mark.end, colors[mark.kind], 0.25);
      this.drawText(mark.kind, this.x(mark.start) + 3, lanes.wave.top + lanes.wave.height - 4);
    }
    if (selection) shade(selection.start, selection.end, colors.select, 0.3);
  }

  drawNames({ settings }) {
    const isLevel = settings.detector === "level";
    const level = `Level, threshold ${formatLevel(settings.threshold_db, 1)} dBFS`;
    const hints = isLevel ? [""] : [" (not used: drag to use it)", " (not used)"];
    const names = {
      wave: "Waveform",
      level: hints.map((hint) => level + hint).find((name) => this.fits(name)) ?? level,
      score: `Score of the automatic detector${isLevel ? " (not used)" : ""}`,
      spectrogram: "Spectrogram",
    };
    for (const [lane, { top }] of Object.entries(this.lanes)) this.drawText(names[lane], 6, top + 12);
  }

  fits(text) {
    this.context.font = FONT;
    return this.context.measureText(text).width <= this.width - 12;
  }

  drawCursor({ position, moments }) {
    const { context, colors, lanes, width } = this;
    const bottom = lanes.spectrogram.top + lanes.spectrogram.height;
    context.fillStyle = colors.cursor;
    for (const moment of moments) {
      const x = this.x(moment.time);
      if (x < 0 || x > width) continue;
      context.beginPath();
      context.moveTo(x - 5, AXIS_HEIGHT);
      context.lineTo(x + 5, AXIS_HEIGHT);
      context.lineTo(x, AXIS_HEIGHT + 8);
      context.fill();
    }
    context.fillRect(this.x(position) - 1, AXIS_HEIGHT, 2, bottom - AXIS_HEIGHT);
  }
}
