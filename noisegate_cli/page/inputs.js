// Connect the controls and the keys to the page.

const KEYS = [
  ["Space", "play or pause"],
  ["1, 2, 3", "listen to before, after, removed"],
  ["M", "match loudness"],
  ["← →", "back or forward by a second, or by a tenth with Shift"],
  ["+ −, 0", "zoom in, zoom out, all; Ctrl with the wheel, or two fingers, also zooms"],
  ["N, P", "next or previous moment"],
  [", .", "threshold down or up by half a decibel"],
  ["[ ]", "start or end a segment here"],
  ["K, X", "keep or cut the segment"],
  ["Esc", "clear the segment"],
  ["C, S", "copy the command, save the labels"],
];

function listenToControls(page) {
  const on = (id, type, action) => $(id).addEventListener(type, action);
  on("play", "click", () => page.togglePlay());
  on("match", "change", (event) => page.toggleMatch(event.target.checked));
  on("seek", "input", (event) => page.setPosition(Number(event.target.value)));
  on("zoom-in", "click", () => page.zoom(0.5));
  on("zoom-out", "click", () => page.zoom(2));
  on("zoom-all", "click", () => page.setView(0, page.duration));
  on("keep", "click", () => page.markSelection("keep"));
  on("cut", "click", () => page.markSelection("cut"));
  on("copy", "click", () => page.copyCommand());
  on("save", "click", () => page.saveLabels());
  on("preset", "change", (event) => {
    const preset = event.target.value;
    Object.assign(page.state.settings, page.data.presets[preset], { preset });
    page.announce(`Preset ${preset}.`);
    page.update();
  });
  on("adaptive", "change", (event) => {
    page.state.settings.adaptive = event.target.checked;
    page.update();
  });
  on("reset", "click", () => {
    page.state.settings = page.createSettings();
    page.update();
  });
  for (const id of ["from", "to"]) {
    on(id, "change", () => {
      const [start, end] = [$("from").value, $("to").value];
      const { offset_s: offset } = page.data;
      if (start && end) page.select(Number(start) - offset, Number(end) - offset);
    });
  }
  for (const radio of document.getElementsByName("listen")) {
    radio.addEventListener("change", () => page.setListen(radio.value));
  }
  for (const radio of document.getElementsByName("detector")) {
    radio.addEventListener("change", () => page.setDetector(radio.value));
  }
  addEventListener("resize", () => page.draw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    page.picture.applyScheme();
    page.draw();
  });
  for (const event of ["beforeprint", "afterprint"]) {
    addEventListener(event, () => {
      document.documentElement.classList.toggle("printed", event === "beforeprint");
      page.picture.applyScheme();
      page.drawPictures();
    });
  }
}

function createKeys() {
  for (const [key, meaning] of KEYS) {
    $("keys").append(create("dt", {}, create("kbd", { textContent: key })), create("dd", { textContent: meaning }));
  }
}

function createKeyTable(page) {
  const { player } = page;
  const step = (event) => (event.shiftKey ? 0.1 : 1);
  const moveMoment = (by) => {
    const count = page.state.moments.length;
    const first = by > 0 ? 0 : count - 1;
    if (count) page.goToMoment(page.moment === undefined ? first : (page.moment + by + count) % count);
  };
  const moveThreshold = (by) => page.changeSetting("threshold_db", Math.min(0, page.state.settings.threshold_db + by));
  const start = () => page.state.selection?.start ?? player.position;
  const end = () => page.state.selection?.end ?? player.position;
  return {
    " ": () => page.togglePlay(),
    1: () => page.setListen("before"),
    2: () => page.setListen("after"),
    3: () => page.setListen("removed"),
    m: () => page.toggleMatch(!page.state.match),
    ArrowLeft: (event) => page.setPosition(player.position - step(event)),
    ArrowRight: (event) => page.setPosition(player.position + step(event)),
    "+": () => page.zoom(0.5),
    "=": () => page.zoom(0.5),
    "-": () => page.zoom(2),
    0: () => page.setView(0, page.duration),
    n: () => moveMoment(1),
    p: () => moveMoment(-1),
    ",": () => moveThreshold(-0.5),
    ".": () => moveThreshold(0.5),
    "[": () => page.select(player.position, Math.max(end(), player.position)),
    "]": () => page.select(Math.min(start(), player.position), player.position),
    k: () => page.markSelection("keep"),
    x: () => page.markSelection("cut"),
    c: () => page.copyCommand(),
    s: () => page.saveLabels(),
    Escape: () => page.clearSelection(),
  };
}

function listenToKeys(page) {
  const table = createKeyTable(page);
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
