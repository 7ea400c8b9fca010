// The command line and the labels for what the page shows.

/** Return a time as minutes and seconds, with hours if needed. */
function formatTime(seconds, digits = 2) {
  const scale = 10 ** digits;
  const total = Math.round(seconds * scale) / scale;
  const s = (total % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const minutes = Math.floor(total / 60);
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${s}` : `${minutes}:${s}`;
}

/** Return a position as a time in the file, in which the audio may begin later than the video. */
function formatPosition(data, seconds) {
  return formatTime(seconds + data.offset_s);
}

/** Return the times of a segment. */
function formatSpan(data, { start, end }) {
  return `${formatPosition(data, start)} to ${formatPosition(data, end)}`;
}

/** Return a level as displayed text, with a typographic minus sign. */
function formatLevel(db, digits = 0) {
  return db.toFixed(digits).replace("-", "−");
}

/** Return a number for the command line and for fields. */
function formatNumber(x) {
  return String(Math.round(x * 1000) / 1000);
}

/** Return whether a setting of the expander has no effect; the tool refuses it then. */
function isUnused(name, settings) {
  if (name === "ratio") return settings.range_db === 0;
  return name === "knee_db" && (settings.ratio === null || settings.range_db === 0);
}

/** Return the command that gates the recording as the page does. Only numbers are added here. */
function formatCommand(data, settings, marks) {
  const { start, end, flags } = data.command;
  const words = [start[settings.preset]];
  const preset = data.presets[settings.preset];
  if (settings.preset !== "voice") words.push(`${flags.preset}=${settings.preset}`);
  for (const name of Object.keys(preset)) {
    const value = settings[name];
    if (value === preset[name] || isUnused(name, settings)) continue;
    const unit = name === "range_db" ? "dB" : name.endsWith("_ms") ? "ms" : "";
    const text = value === null ? "mute" : formatNumber(value) + unit;
    words.push(`${flags[name]}=${text}`);
  }
  if (settings.detector === "level") {
    words.push(`${flags.threshold}=${formatNumber(settings.threshold_db)}dB`);
    if (settings.adaptive) words.push(flags.adaptive);
  }
  for (const mark of marks) {
    words.push(`${flags[mark.kind]}=${formatPosition(data, mark.start)}-${formatPosition(data, mark.end)}`);
  }
  return [...words, end].join(" ");
}

/** Return seconds with 6 to 9 decimals, which distinguish all samples. */
function formatSeconds(seconds) {
  const text = seconds.toFixed(9);
  return text.slice(0, -3) + text.slice(-3).replace(/0+$/, "");
}

/** Return the open segments as a label track of Audacity, with the channel if each has a gate. */
function formatLabels(data, masks) {
  const rows = masks.flatMap((mask, gate) =>
    listSegments(data, mask).map((segment) => [...segment, masks.length > 1 ? `open ${gate + 1}` : "open"]),
  );
  rows.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const format = (seconds) => formatSeconds(seconds + data.offset_s);
  return rows.map(([start, end, text]) => `${format(start)}\t${format(end)}\t${text}\n`).join("");
}
