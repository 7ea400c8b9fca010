// Mouse and touch input on the canvases.

const [MOUSE_REACH_PX, FINGER_REACH_PX] = [8, 18];
const MIN_DRAG_PX = 4;

function listenToPointer(page) {
  listenToView(page, $("view"));
  listenToWheel(page, $("view"));
  listenToOverview(page, $("overview"));
}

/** Return the pixel of a canvas that is under a pointer. */
function locate(event) {
  const box = event.target.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function isNearThreshold(page, [x, y], reach) {
  const { picture, state } = page;
  const level = state.settings.threshold_db + picture.driftAt(picture.timeAt(x, state.view), state.settings);
  return Math.abs(y - picture.yOfLevel(level)) <= reach;
}

/** One pointer drags the threshold or selects a segment, two fingers zoom. */
function listenToView(page, view) {
  const pointers = new Map(); // the x of each pointer that is down
  let gesture = null;
  view.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x, y] = locate(event);
    pointers.set(event.pointerId, x);
    view.setPointerCapture(event.pointerId);
    if (pointers.size === 2) gesture = new Pinch(page, [...pointers.values()]);
    else if (isNearThreshold(page, [x, y], event.pointerType === "mouse" ? MOUSE_REACH_PX : FINGER_REACH_PX)) {
      gesture = new ThresholdDrag(page);
    } else gesture = new Selection(page, x);
  });
  view.addEventListener("pointermove", (event) => {
    const [x, y] = locate(event);
    if (pointers.has(event.pointerId)) {
      pointers.set(event.pointerId, x);
      gesture?.move([...pointers.values()], y);
    } else {
      view.style.cursor = isNearThreshold(page, [x, y], MOUSE_REACH_PX) ? "ns-resize" : "crosshair";
    }
  });
  const lift = (event) => {
    pointers.delete(event.pointerId);
    if (event.type === "pointerup") gesture?.end?.();
    gesture = null; // The other finger of a pinch does nothing.
  };
  view.addEventListener("pointerup", lift);
  view.addEventListener("pointercancel", lift);
  // A finger on the threshold line must not scroll the page.
  view.addEventListener(
    "touchstart",
    (event) => {
      const { left, top } = view.getBoundingClientRect();
      const { clientX, clientY } = event.touches[0];
      if (isNearThreshold(page, [clientX - left, clientY - top], FINGER_REACH_PX)) event.preventDefault();
    },
    { passive: false },
  );
}

class ThresholdDrag {
  constructor(page) {
    this.page = page;
  }

  move([x], y) {
    const { picture, state } = this.page;
    const drift = picture.driftAt(picture.timeAt(x, state.view), state.settings);
    const level = picture.levelAtY(y) - drift;
    this.page.changeSetting("threshold_db", Math.max(-100, Math.min(0, level)));
  }
}

/** A drag selects a segment; a click moves the position. */
class Selection {
  constructor(page, x) {
    this.page = page;
    this.x = x;
    this.time = page.picture.timeAt(x, page.state.view);
    this.hasMoved = false;
  }

  move([x]) {
    this.hasMoved ||= Math.abs(x - this.x) > MIN_DRAG_PX;
    if (this.hasMoved) this.page.select(this.time, this.page.picture.timeAt(x, this.page.state.view));
  }

  end() {
    if (!this.hasMoved) this.page.setPosition(this.time);
  }
}

/** Two fingers keep the times under them. */
class Pinch {
  constructor(page, xs) {
    this.page = page;
    this.times = xs.map((x) => page.picture.timeAt(x, page.state.view));
  }

  move(xs) {
    const [one, other] = this.times;
    const [x, otherX] = xs;
    const secondsPerPixel = (other - one) / (otherX - x);
    if (!(secondsPerPixel > 0)) return; // The fingers have met.
    const start = one - x * secondsPerPixel;
    this.page.setView(start, start + $("view").clientWidth * secondsPerPixel);
  }
}

/** The wheel zooms with Ctrl, and scrolls sideways. */
function listenToWheel(page, view) {
  view.addEventListener(
    "wheel",
    (event) => {
      const { start, end } = page.state.view;
      const isZoom = event.ctrlKey || event.metaKey;
      const pixels = event.deltaX || (event.shiftKey ? event.deltaY : 0);
      if (!isZoom && !pixels) return;
      event.preventDefault();
      if (isZoom) page.zoom(2 ** (event.deltaY / 200), page.picture.timeAt(locate(event)[0], page.state.view));
      else page.scroll((pixels / view.clientWidth) * (end - start));
    },
    { passive: false },
  );
}

/** A click or a drag on the whole recording moves the view there. */
function listenToOverview(page, overview) {
  const go = (event) => {
    const time = (locate(event)[0] / overview.clientWidth) * page.duration;
    const half = (page.state.view.end - page.state.view.start) / 2;
    page.setView(time - half, time + half);
    page.setPosition(time);
  };
  overview.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    overview.setPointerCapture(event.pointerId);
    go(event);
  });
  overview.addEventListener("pointermove", (event) => {
    if (overview.hasPointerCapture(event.pointerId)) go(event);
  });
}
