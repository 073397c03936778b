// All clips of the page on one clock, seen from one direction.

const FRONT = { turn: 0, tilt: 0.2 };

class Stage {
  constructor(data) {
    this.clips = data.clips.map((packed) => new Clip(packed, data.layouts[packed.layout]));
    this.players = [];
    this.view = { ...FRONT, zoom: 1, across: 0, down: 0, follow: true, names: false };
    this.place = 0; // share of the clock's round, 0 to 1
    this.rest = 0; // time until which the last frame stays
    this.speed = 1;
    this.sync = data.sync;
    this.playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.colours = palette();
    this.stale = true;
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) entry.target.inSight = entry.isIntersecting;
      this.stale = true;
    });
  }

  add(canvas, number, stand = number) {
    const player = { canvas, points: [], pointed: null, drawn: -1 };
    this.players.push(player);
    if (number !== null) this.show(player, number, stand);
    this.seen.observe(canvas);
    steer(player, this);
    const button = canvas.parentElement.querySelector(".enlarge");
    button.addEventListener("click", () => enlarge(canvas.closest(".clip")));
    return player;
  }

  show(player, number, stand = number) {
    [player.clip, player.stand] = [this.clips[number], this.clips[stand]];
    player.drawn = -1;
    this.stale = true;
  }

  remove(player) {
    this.seen.unobserve(player.canvas);
    this.players.splice(this.players.indexOf(player), 1);
  }

  // Seconds of one round. Same part of the movement: as long as the first clip. Same seconds: as the longest.
  duration() {
    const lengths = this.players.filter((player) => player.clip).map((player) => player.clip.duration);
    if (!lengths.length) return 1;
    return this.sync === "phase" ? lengths[0] : Math.max(...lengths);
  }

  // The moment of a clip, in frames; between two frames where it has few of them.
  momentOf(clip) {
    const frame = this.sync === "phase" ? this.place * clip.frames : this.place * this.duration() * clip.fps;
    return Math.min(clip.frames - 1, Math.floor(frame * clip.between + 1e-6) / clip.between);
  }

  step(frames) {
    const first = this.players.find((player) => player.clip);
    this.playing = false;
    const frame = 1 / Math.max(1, this.duration() * (first ? first.clip.fps : 30));
    this.place = (((this.place + frames * frame) % 1) + 1) % 1;
    this.stale = true;
  }

  tick(now) {
    const passed = Math.min(0.1, (now - (this.before || now)) / 1000);
    this.before = now;
    if (this.playing && now >= this.rest) this.advance(passed, now);
    this.draw((player) => player.canvas.inSight);
  }

  draw(wanted) {
    for (const player of this.players) {
      if (!player.clip || !wanted(player)) continue;
      const moment = this.momentOf(player.clip);
      if (!this.stale && moment === player.drawn) continue;
      drawSkeleton(player, moment, this.view, this.colours);
      player.drawn = moment;
    }
    this.stale = false;
  }

  // A round ends with a short rest on the last frame: many clips last less than a second.
  advance(passed, now) {
    const next = this.place + (passed * this.speed) / this.duration();
    if (this.place >= 1) this.place = 0;
    else this.place = Math.min(1, next);
    if (this.place >= 1) this.rest = now + 400;
  }

  turn(across, up) {
    this.view.turn += across;
    this.view.tilt = Math.max(-0.3, Math.min(1.57, this.view.tilt + up));
    this.stale = true;
  }

  // Shares of a player's side.
  pan(across, down) {
    this.view.across += across;
    this.view.down += down;
    this.stale = true;
  }

  zoom(factor) {
    this.view.zoom = Math.max(0.3, Math.min(12, this.view.zoom * factor));
    this.stale = true;
  }

  look(turn, tilt) {
    Object.assign(this.view, { turn, tilt, zoom: 1, across: 0, down: 0 });
    this.stale = true;
  }
}

// Mouse, touch and keys on a player.
function steer(player, stage) {
  const { canvas } = player;
  const side = () => Math.min(canvas.clientWidth, canvas.clientHeight);
  gestures(canvas, {
    drag: (dx, dy, shift) => (shift ? stage.pan(dx / side(), dy / side()) : stage.turn(dx * 0.01, dy * 0.01)),
    pinch: (factor, dx, dy) => {
      stage.zoom(factor);
      stage.pan(dx / side(), dy / side());
    },
    zoom: (factor) => stage.zoom(factor),
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) point(player, stage, event);
  });
  canvas.addEventListener("dblclick", () => enlarge(canvas.closest(".clip")));
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const acts = {
    "+": () => stage.zoom(1.25),
    "-": () => stage.zoom(0.8),
    0: () => stage.look(FRONT.turn, FRONT.tilt),
    f: () => enlarge(canvas.closest(".clip")),
  };
  canvas.addEventListener("keydown", (event) => {
    const arrow = arrows[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || !(arrow || acts[event.key])) return;
    event.preventDefault();
    if (!arrow) acts[event.key]();
    else if (event.shiftKey) stage.pan(arrow[0] * 0.05, arrow[1] * 0.05);
    else stage.turn(arrow[0] * 0.15, arrow[1] * 0.1);
  });
}

// The joint under the pointer gives its name.
function point(player, stage, event) {
  const box = player.canvas.getBoundingClientRect();
  let found = null;
  let least = 12 ** 2;
  player.points.forEach((points, person) =>
    points.forEach((place, joint) => {
      const square = place ? (place[0] - event.clientX + box.left) ** 2 + (place[1] - event.clientY + box.top) ** 2 : least;
      if (square < least) [found, least] = [[person, joint], square];
    }),
  );
  if (String(found) === String(player.pointed)) return;
  player.pointed = found;
  stage.stale = true;
}

// One pointer drags, two pinch, the wheel zooms with Ctrl, or without it where there is nothing to scroll.
function gestures(canvas, { drag, pinch, zoom }) {
  const held = new Map();
  const spread = () => {
    const [a, b] = [...held.values()];
    return [Math.hypot(a.x - b.x, a.y - b.y), (a.x + b.x) / 2, (a.y + b.y) / 2];
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => held.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const old = held.size > 1 ? spread() : null;
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (!old) return drag(event.clientX - before.x, event.clientY - before.y, event.shiftKey);
    const now = spread();
    pinch(now[0] / Math.max(1, old[0]), now[1] - old[1], now[2] - old[2]);
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !document.body.classList.contains("filled")) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 300), event);
    },
    { passive: false },
  );
}

// A clip fills the window, and the window the screen where the browser lets it; the controls stay.
function enlarge(clip) {
  const filled = document.querySelector(".clip.full");
  if (filled) return shrink();
  clip.classList.add("full");
  document.body.classList.add("filled");
  if (document.documentElement.requestFullscreen) document.documentElement.requestFullscreen().catch(() => {});
  clip.querySelector("canvas").focus();
}

function shrink() {
  const filled = document.querySelector(".clip.full");
  if (!filled) return;
  filled.classList.remove("full");
  document.body.classList.remove("filled");
  if (document.fullscreenElement) document.exitFullscreen();
}
