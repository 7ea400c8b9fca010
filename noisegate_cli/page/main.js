// Unpack the data and start the page.

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
  const shades = [data.spectrogram, ...data.details].map((text) => unpack(text, Uint8Array));
  [data.spectrogram, ...data.details] = await Promise.all(shades);
}

async function start() {
  const data = JSON.parse($("data").textContent);
  await unpackTracks(data);
  window.ngate = { page: new Page(data), computeMasks, computeGains, formatCommand, formatLabels };
}

start().catch((error) => {
  $("status").textContent = `This browser cannot show the page: ${error.message}`;
  throw error;
});
