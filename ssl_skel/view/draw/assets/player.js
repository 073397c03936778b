// All clips of the page on one clock, seen from one direction.

class Stage {
  constructor(data) {
    this.clips = data.clips.map((packed) => new Clip(packed, data.layouts[packed.layout]));
    this.players = [];
    this.view = { turn: 0, tilt: 0.12, follow: true };
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

  add(canvas, clip, stand = clip) {
    const player = { canvas, clip, stand, drawn: -1 };
    this.players.push(player);
    this.seen.observe(canvas);
    turnable(canvas, this);
    return player;
  }

  show(player, number) {
    player.clip = player.stand = this.clips[number];
    player.drawn = -1;
    this.stale = true;
  }

  // Seconds of one round. Same part of the movement: as long as the first clip. Same seconds: as the longest.
  duration() {
    const lengths = this.players.filter((player) => player.clip).map((player) => player.clip.duration);
    if (!lengths.length) return 1;
    return this.sync === "phase" ? lengths[0] : Math.max(...lengths);
  }

  frameOf(clip) {
    const frame = this.sync === "phase" ? this.place * clip.frames : this.place * this.duration() * clip.fps;
    return Math.min(clip.frames - 1, Math.floor(frame + 1e-6));
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
    for (const player of this.players) {
      if (!player.clip || !player.canvas.inSight) continue;
      const frame = this.frameOf(player.clip);
      if (!this.stale && frame === player.drawn) continue;
      drawSkeleton(player.canvas, player.clip, player.stand, frame, this.view, this.colours);
      player.drawn = frame;
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
}

// Drag, or arrow keys, to look from elsewhere.
function turnable(canvas, stage) {
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) stage.turn(event.movementX * 0.01, event.movementY * 0.01);
  });
  const keys = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
  canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key]) return;
    event.preventDefault();
    stage.turn(...keys[event.key]);
  });
}

function toolbar(stage) {
  const find = (id) => document.getElementById(id);
  const [play, scrub, clock] = [find("play"), find("scrub"), find("clock")];
  const toggle = () => {
    stage.playing = !stage.playing;
  };
  play.addEventListener("click", toggle);
  scrub.addEventListener("input", () => {
    stage.playing = false;
    stage.place = Number(scrub.value) / 1000;
  });
  find("speed").addEventListener("change", (event) => {
    stage.speed = Number(event.target.value);
  });
  find("sync").value = stage.sync;
  find("sync").addEventListener("change", (event) => {
    stage.sync = event.target.value;
    stage.stale = true;
  });
  for (const button of document.querySelectorAll("[data-turn]")) {
    button.addEventListener("click", () => {
      [stage.view.turn, stage.view.tilt] = button.dataset.turn.split(" ").map(Number);
      stage.stale = true;
    });
  }
  find("follow").addEventListener("click", (event) => {
    stage.view.follow = !stage.view.follow;
    event.target.setAttribute("aria-pressed", stage.view.follow);
    stage.stale = true;
  });
  document.addEventListener("keydown", (event) => {
    if (/^(BUTTON|SELECT|INPUT|SUMMARY)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey) return;
    const act = { " ": toggle, ",": () => stage.step(-1), ".": () => stage.step(1) }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  return () => {
    play.textContent = stage.playing ? "Pause" : "Play";
    if (document.activeElement !== scrub || stage.playing) scrub.value = Math.round(stage.place * 1000);
    const all = stage.duration();
    clock.textContent = `${(stage.place * all).toFixed(1)} s of ${all.toFixed(1)} s`;
  };
}

function theme(stage) {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => {
    stage.colours = palette();
    stage.stale = true;
    document.dispatchEvent(new Event("recolour"));
  };
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    repaint();
  });
  dark.addEventListener("change", repaint);
}

function main() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const stage = new Stage(data);
  for (const canvas of document.querySelectorAll("canvas[data-clip]")) {
    stage.add(canvas, stage.clips[Number(canvas.dataset.clip)], stage.clips[Number(canvas.dataset.stand)]);
  }
  const refresh = stage.clips.length ? toolbar(stage) : () => {};
  theme(stage);
  for (const element of document.querySelectorAll(".map")) pointMap(element, data.maps[element.dataset.map], stage);
  addEventListener("resize", () => {
    stage.stale = true;
  });
  const frame = (now) => {
    stage.tick(now);
    refresh();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

main();
