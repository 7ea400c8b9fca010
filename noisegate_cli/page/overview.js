// Draw the whole recording on a small canvas.

/** Draw the whole recording, the visible part, and a line where the page has its sound. */
function drawOverview(canvas, data, state, colors) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.fillStyle = colors.panel;
  context.fillRect(0, 0, width, height);
  const duration = data.samples / data.sample_rate || 1;
  const spans = data.peaks.length / 2;
  context.fillStyle = colors.wave;
  for (let x = 0; x < width; x++) {
    let peak = 0;
    const last = Math.ceil(((x + 1) / width) * spans);
    for (let span = Math.floor((x / width) * spans); span < last; span++) {
      peak = Math.max(peak, -data.peaks[2 * span], data.peaks[2 * span + 1]);
    }
    const half = Math.max(0.5, ((peak / 127) * (height - 8)) / 2);
    context.fillRect(x, (height - 4) / 2 - half, 1, 2 * half);
  }
  const x = (seconds) => (seconds / duration) * width;
  context.fillStyle = colors.keep;
  for (const sound of data.sounds) {
    context.fillRect(x(sound.start_s), height - 3, Math.max(2, x(sound.end_s) - x(sound.start_s)), 3);
  }
  context.strokeStyle = colors.select;
  context.lineWidth = 2;
  context.strokeRect(x(state.view.start) + 1, 1, Math.max(3, x(state.view.end) - x(state.view.start) - 2), height - 6);
  context.fillStyle = colors.cursor;
  context.fillRect(x(state.position) - 1, 0, 2, height - 4);
}
