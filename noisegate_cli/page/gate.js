// The law of the gate, as in the Python modules gating/gain/mask.py, gating/gain/envelope.py and
// gating/gain/overlap_add.py: hysteresis, minimum durations, hold, marked segments, gains.

/**
 * Data of the page, see `build_page_data` in document.py. The tracks are arrays when it is unpacked.
 * @typedef {Object} PageData
 * @property {string} name File name of the recording.
 * @property {number} sample_rate In Hz.
 * @property {number} samples Length of the recording.
 * @property {number} offset_s Time of the first sample in the file, in seconds.
 * @property {number} frames Number of frames; frame k is centered on sample k · hop_length.
 * @property {number} gates One for all channels, or one for each.
 * @property {Uint16Array[]} levels Codes of the level of each frame, for each gate; 0 is silence.
 * @property {Int16Array[]} scores Codes of the score of the automatic detector.
 * @property {Sound[]} sounds Encoded sound, by time.
 *
 * Sound of a part of the recording.
 * @typedef {{start_s: number, end_s: number, channels: number, sample_rate: number, data: string}} Sound
 *
 * Settings of the gate.
 * @typedef {Object} Settings
 * @property {string} preset Preset from which the command begins.
 * @property {"auto" | "level"} detector
 * @property {number} threshold_db In dBFS.
 * @property {boolean} adaptive Whether the threshold follows the noise.
 * @property {number} hysteresis_db
 * @property {number} min_open_ms
 * @property {number} min_closed_ms
 * @property {number} lookahead_ms
 * @property {number} attack_ms
 * @property {number} hold_ms
 * @property {number} release_ms
 * @property {number | null} range_db Gain of the closed gate; null is silence.
 * @property {number | null} ratio Of an expander; null is a gate.
 * @property {number} knee_db
 *
 * A segment in which the gate is always open or always closed; the times are in seconds.
 * @typedef {{start: number, end: number, kind: "keep" | "cut"}} Mark
 *
 * Whether one gate is open: a byte for each frame, 1 is open.
 * @typedef {Uint8Array} Mask
 */

const MIN_MARK_S = 0.005; // Marks are rounded to hundredths.

/** Round to the nearest integer, and halves to even, as Python does. */
function roundHalfEven(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Convert the settings to frames. */
function computeTiming(data, settings) {
  const framesPerMs = data.sample_rate / data.hop_length / 1000;
  return {
    minClosed: roundHalfEven(settings.min_closed_ms * framesPerMs),
    minOpen: roundHalfEven(settings.min_open_ms * framesPerMs),
    hold: roundHalfEven(settings.hold_ms * framesPerMs),
    lookahead: Math.ceil(settings.lookahead_ms * framesPerMs - 1e-9),
    attack: settings.attack_ms * framesPerMs,
    release: settings.release_ms * framesPerMs,
  };
}

/** Return the drift of the noise floor at a frame in dB: linear between the centers of the steps. */
function computeDrift(data, frame) {
  const { drift_db: drift, drift_step: step } = data;
  const position = Math.max(0, Math.min(drift.length - 1, frame / step - 0.5));
  const below = Math.max(0, Math.min(Math.floor(position), drift.length - 2));
  const above = Math.min(below + 1, drift.length - 1);
  return drift[below] + (position - below) * (drift[above] - drift[below]);
}

/** Return the codes of the levels without the drift of the noise floor, computed once. */
function listAdaptiveLevels(data) {
  data.adaptiveLevels ??= data.levels.map((codes) =>
    Float32Array.from(codes, (code, k) => code && code - computeDrift(data, k) / data.level_step_db),
  );
  return data.adaptiveLevels;
}

/** Return the values of each gate that the thresholds are compared with. */
function listDetectorValues(data, settings) {
  if (settings.detector === "auto") return data.scores;
  return settings.adaptive ? listAdaptiveLevels(data) : data.levels;
}

/** Return the codes above which the gate opens, and at or below which it closes. */
function computeThresholdCodes(data, settings) {
  const code = (db) => (db - data.level_offset_db) / data.level_step_db;
  const scale = 1e4; // Settings have few decimals, but their binary fractions are not exact.
  const exact = (x) => Math.round(x * scale) / scale;
  if (settings.detector === "auto") {
    return [exact(data.open_above / data.score_step), exact(data.close_below / data.score_step)];
  }
  const threshold = settings.threshold_db;
  return [exact(code(threshold)), exact(code(threshold - settings.hysteresis_db))];
}

/** Open above one value, close at or below another, and keep the state between them. */
function applyHysteresis(values, openAbove, closeBelow) {
  const mask = new Uint8Array(values.length);
  let open = 0;
  for (let k = 0; k < values.length; k++) {
    if (values[k] > openAbove) open = 1;
    else if (values[k] <= closeBelow) open = 0;
    mask[k] = open;
  }
  return mask;
}

/** Invert runs of `value` that are shorter than `frames` and touch neither end. */
function invertShortRuns(mask, value, frames) {
  for (let start = 0, k = 1; k <= mask.length; k++) {
    if (k < mask.length && mask[k] === mask[start]) continue;
    const isInside = start > 0 && k < mask.length;
    const isShort = mask[start] === value && k - start < frames;
    if (isInside && isShort) mask.fill(1 - value, start, k);
    // An inverted run continues the run before it, whose length no longer matters.
    start = k;
  }
}

/** Keep the gate open for some frames after each open frame. */
function applyHold(mask, hold) {
  for (let k = 0, left = 0; k < mask.length; k++) {
    if (mask[k]) left = hold;
    else if (left > 0) {
      mask[k] = 1;
      left--;
    }
  }
}

/** Return the first frame that overlaps a segment, and the first frame after it. */
function findFramesWithin({ start, end }, data) {
  const half = data.frame_length / 2;
  const first = Math.floor(start * data.sample_rate + 1e-6);
  const last = Math.ceil(end * data.sample_rate - 1e-6);
  return [Math.floor((first - half) / data.hop_length) + 1, Math.ceil((last + half) / data.hop_length)];
}

/** Return the marks with one more; they do not overlap, so that their order does not matter. */
function insertMark(marks, mark) {
  const rest = marks.flatMap((m) => [
    { ...m, end: Math.min(m.end, mark.start) },
    { ...m, start: Math.max(m.start, mark.end) },
  ]);
  const kept = rest.filter((m) => m.end - m.start > MIN_MARK_S);
  return [...kept, mark].sort((a, b) => a.start - b.start);
}

/**
 * Close the cut segments, with the fades outside, and open the kept ones, which have priority.
 * @param {Mask | Float32Array} frames Mask or gains.
 * @param {number} closed Value of a closed frame; 1 is open.
 */
function applyMarks(frames, marks, timing, data, closed = 0) {
  const fill = (value, first, after) => {
    if (after > 0) frames.fill(value, Math.max(0, first), after);
  };
  for (const mark of marks.filter(({ kind }) => kind === "cut")) {
    const [first, after] = findFramesWithin(mark, data);
    const fadeOut = Math.max(1, Math.ceil(timing.release));
    const fadeIn = timing.lookahead + Math.max(1, Math.ceil(timing.attack));
    fill(closed, first + 1 - fadeOut, after + fadeIn - 1);
  }
  for (const mark of marks.filter(({ kind }) => kind === "keep")) {
    fill(1, ...findFramesWithin(mark, data));
  }
}

/**
 * Return the mask of each gate.
 * @param {PageData} data
 * @param {Settings} settings
 * @param {Mark[]} marks
 * @returns {Mask[]}
 */
function computeMasks(data, settings, marks = []) {
  const timing = computeTiming(data, settings);
  const [openAbove, closeBelow] = computeThresholdCodes(data, settings);
  return listDetectorValues(data, settings).map((gateValues) => {
    const mask = applyHysteresis(gateValues, openAbove, closeBelow);
    invertShortRuns(mask, 0, timing.minClosed);
    invertShortRuns(mask, 1, timing.minOpen);
    applyHold(mask, timing.hold);
    applyMarks(mask, marks, timing, data);
    invertShortRuns(mask, 0, timing.lookahead + 1); // The gain is 1 within the lookahead.
    return mask;
  });
}

/** Return the gain at a distance of 0, 1, 2, … frames from an open one: a raised cosine. */
function computeFade(length, closedGain) {
  const fade = [];
  for (let d = 0; d < Math.ceil(length); d++) {
    fade.push(closedGain + (1 - closedGain) * Math.cos((Math.PI / 2) * (d / length)) ** 2);
  }
  return length ? [...fade, closedGain] : [1, closedGain];
}

function computeClosedGain(settings) {
  return settings.range_db === null ? 0 : 10 ** (settings.range_db / 20);
}

/**
 * Return the gain of each frame, for each gate.
 * @param {PageData} data
 * @param {Settings} settings
 * @param {Mask[]} masks Masks for these settings and marks.
 * @param {Mark[]} marks
 * @returns {Float32Array[]}
 */
function computeGains(data, settings, masks, marks = []) {
  if (settings.ratio === null) return masks.map((mask) => computeMaskGains(data, settings, mask));
  const values = listDetectorValues(data, settings);
  return values.map((codes) => computeExpanderGains(data, settings, marks, codes));
}

/** Return the gain of each frame of a mask. */
function computeMaskGains(data, settings, mask) {
  const timing = computeTiming(data, settings);
  const closedGain = computeClosedGain(settings);
  const before = [...Array(timing.lookahead).fill(1), ...computeFade(timing.attack, closedGain)];
  const after = computeFade(timing.release, closedGain);
  const gains = new Float32Array(mask.length);
  for (let k = 0, since = Infinity; k < mask.length; k++) {
    since = mask[k] ? 0 : since + 1;
    gains[k] = after[Math.min(since, after.length - 1)];
  }
  for (let k = mask.length - 1, until = Infinity; k >= 0; k--) {
    until = mask[k] ? 0 : until + 1;
    gains[k] = Math.max(gains[k], before[Math.min(until, before.length - 1)]);
  }
  return gains;
}

/**
 * Return a function that computes the gain at a time: the overlap-add of the gains of the frames
 * that cover a sample, with the squared Hann window as weights.
 */
function createGainCurve(data, gains) {
  const { hop_length: hop, frame_length: length } = data;
  const overlap = length / hop;
  const weight = (i) => (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length)) ** 2;
  const weights = Float64Array.from({ length }, (_, i) => weight(i));
  return (seconds) => {
    const sample = Math.floor(seconds * data.sample_rate + 1e-6);
    const firstFrame = Math.floor(sample / hop) - overlap / 2 + 1;
    let sum = 0;
    let total = 0;
    for (let i = 0; i < overlap; i++) {
      const frame = firstFrame + i;
      if (frame < 0 || frame >= gains.length) continue;
      const share = weights[sample - (frame * hop - length / 2)];
      sum += share * gains[frame];
      total += share;
    }
    return total ? sum / total : 1;
  };
}

/** Return the open runs of a mask: the first frame of each, and the first frame after it. */
function listRuns(mask) {
  const runs = [];
  for (let k = mask.indexOf(1); k >= 0; ) {
    const closing = mask.indexOf(0, k);
    const after = closing < 0 ? mask.length : closing;
    runs.push([k, after]);
    k = closing < 0 ? -1 : mask.indexOf(1, closing);
  }
  return runs;
}

/**
 * Return the open segments of a mask in seconds. The tool rounds them to frames again, so an edge
 * is a quarter of a hop before the end of the recording at the latest, or at the end.
 */
function listSegments(data, mask) {
  const { hop_length: hop, samples, sample_rate: rate, frames } = data;
  const latest = Math.max(0, samples - hop / 4);
  return listRuns(mask)
    .map(([first, after]) => [Math.min(first * hop, latest), after === frames ? samples : Math.min(after * hop, latest)])
    .filter(([start, end]) => start < end)
    .map(([start, end]) => [start / rate, end / rate]);
}

/** Return the mask that is open where any gate is. */
function mergeMasks(masks) {
  if (masks.length === 1) return masks[0];
  return masks[0].map((_, k) => (masks.some((mask) => mask[k]) ? 1 : 0));
}
