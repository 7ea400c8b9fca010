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

function formatNumber(x) {
  return String(Math.round(x * 1000) / 1000);
}

/** Return the command that gates the recording as the page does. Only numbers are added here. */
function formatCommand(data, settings, marks) {
  const { start, end, flags } = data.command;
  const words = [start];
  const preset = data.presets[settings.preset];
  if (settings.preset !== "voice") words.push(`${flags.preset}=${settings.preset}`);
  for (const name of Object.keys(preset)) {
    const value = settings[name];
    if (value === preset[name]) continue;
    const isRange = name === "range_db";
    const text = value === null ? "mute" : formatNumber(value) + (isRange ? "dB" : "");
    words.push(`${flags[name]}=${text}`);
  }
  if (settings.detector === "level") {
    words.push(`${flags.threshold}=${formatNumber(settings.threshold_db)}dB`);
  }
  for (const mark of marks) {
    words.push(`${flags[mark.kind]}=${formatTime(mark.start)}-${formatTime(mark.end)}`);
  }
  return [...words, end].join(" ");
}

/** Return the open stretches as a label track of Audacity. */
function formatLabels(data, masks) {
  const lines = listOpenStretches(data, masks).map(
    ([start, end]) => `${start.toFixed(6)}\t${end.toFixed(6)}\topen\n`,
  );
  return lines.join("");
}
