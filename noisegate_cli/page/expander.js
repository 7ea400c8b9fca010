// The formulas of the expander, as in the Python modules gating/gain/expander.py and
// gating/expander_gains.py: a gain that falls with the level below the threshold. Hysteresis,
// minimum durations and hold act on the level as they act on a mask.

/**
 * Return the level of each frame in dB relative to the threshold; digital silence is −∞.
 * @param {PageData} data
 * @param {Settings} settings
 * @param {ArrayLike<number>} codes Codes of the levels of one gate.
 */
function computeRelativeLevels(data, settings, codes) {
  const { level_step_db: step, level_offset_db: offset } = data;
  return Float32Array.from(codes, (code) => (code ? offset + step * code - settings.threshold_db : -Infinity));
}

/** Let levels follow a rise at once, and a fall only when it exceeds the hysteresis. */
function applyLag(levels, hysteresisDb) {
  let level = -Infinity;
  return levels.map((next) => (level = Math.max(next, Math.min(next + hysteresisDb, level))));
}

/** Return the maximum of each window of some frames that lies within the values. */
function slideMaximum(values, frames) {
  let maxima = values.slice();
  for (let width = 1; width < frames; ) {
    const step = Math.min(width, frames - width); // A window is the union of two shorter ones.
    for (let k = 0; k + step < maxima.length; k++) maxima[k] = Math.max(maxima[k], maxima[k + step]);
    maxima = maxima.subarray(0, maxima.length - step);
    width += step;
  }
  return maxima;
}

/** Return values with some more on either side. */
function pad(values, before, after, value) {
  const padded = new Float32Array(before + values.length + after).fill(value);
  padded.set(values, before);
  return padded;
}

const negate = (values) => values.map((value) => -value);

/** Fill dips that are shorter than `frames`, up to the lower of their sides; none at either end. */
function fillDips(levels, frames) {
  const context = Math.max(0, frames - 1);
  const maxima = slideMaximum(pad(levels, context, context, -Infinity), context + 1);
  return negate(slideMaximum(negate(maxima), context + 1));
}

/** Cut peaks that are shorter than `frames`, down to the higher of their sides. */
function cutPeaks(levels, frames) {
  return negate(fillDips(negate(levels), frames));
}

/** Keep each level for some frames, unless a higher one follows. */
function holdLevels(levels, hold) {
  return slideMaximum(pad(levels, hold, 0, -Infinity), hold + 1);
}

/** Return the gain in dB at a level relative to the threshold: the static curve. */
function computeStaticGain(levelDb, ratio, kneeDb) {
  const half = kneeDb / 2;
  if (Math.abs(levelDb) < half) return (-(ratio - 1) * (levelDb - half) ** 2) / (2 * kneeDb);
  return (ratio - 1) * Math.min(levelDb, 0);
}

/** Extend gains into the frames around them, with the fades of the gate. */
function spreadGains(gains, timing, closedGain) {
  const { lookahead } = timing;
  const spread = slideMaximum(pad(gains, 0, lookahead, closedGain), lookahead + 1);
  const raise = (distance, share) => {
    const first = Math.max(0, -distance);
    const after = Math.min(gains.length, gains.length - distance);
    for (let k = first; k < after; k++) {
      spread[k] = Math.max(spread[k], closedGain + (gains[k + distance] - closedGain) * share);
    }
  };
  const listShares = (length) => computeFade(length, 0).slice(1, -1);
  listShares(timing.attack).forEach((share, index) => raise(lookahead + 1 + index, share));
  listShares(timing.release).forEach((share, index) => raise(-1 - index, share));
  return spread;
}

/**
 * Return the gain of each frame of one gate.
 * @param {PageData} data
 * @param {Settings} settings With a ratio and a threshold.
 * @param {Mark[]} marks
 * @param {ArrayLike<number>} codes Codes of the levels of the gate.
 */
function computeExpanderGains(data, settings, marks, codes) {
  const timing = computeTiming(data, settings);
  const closedGain = computeClosedGain(settings);
  let levels = applyLag(computeRelativeLevels(data, settings, codes), settings.hysteresis_db);
  levels = fillDips(levels, timing.minClosed);
  levels = cutPeaks(levels, timing.minOpen);
  levels = holdLevels(levels, timing.hold);
  const gains = levels.map((level) => {
    const gainDb = computeStaticGain(level, settings.ratio, settings.knee_db);
    if (gainDb === 0) return 1;
    return Math.max(closedGain, 10 ** (gainDb / 20));
  });
  applyMarks(gains, marks, timing, data, closedGain);
  return spreadGains(gains, timing, closedGain);
}
