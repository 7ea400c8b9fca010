// Images of spectrograms, from the shades of their cells.

const SHADES = {
  light: [[255, 255, 255], [190, 214, 240], [90, 140, 200], [40, 60, 130], [15, 10, 50]],
  dark: [[14, 16, 22], [50, 35, 105], [140, 50, 125], [235, 110, 75], [252, 240, 170]],
};

/** Return an image of a spectrogram, one pixel for each column and band. */
function createSpectrogramImage(data, shades, scheme) {
  const bands = data.spectrogram_bands;
  const columns = shades.length / bands;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  if (!columns) return canvas;
  canvas.height = bands;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, bands);
  const palette = createPalette(SHADES[scheme], data.spectrogram_steps);
  for (let column = 0; column < columns; column++) {
    for (let band = 0; band < bands; band++) {
      const color = palette[shades[column * bands + band]];
      image.data.set(color, 4 * ((bands - 1 - band) * columns + column));
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function createPalette(stops, steps) {
  return Array.from({ length: steps + 1 }, (_, step) => {
    const position = (step / steps) * (stops.length - 1);
    const index = Math.min(Math.floor(position), stops.length - 2);
    const mix = (channel) =>
      stops[index][channel] + (position - index) * (stops[index + 1][channel] - stops[index][channel]);
    return [mix(0), mix(1), mix(2), 255];
  });
}
