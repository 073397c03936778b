// The controls of the page, and its start.

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
    button.addEventListener("click", () => stage.look(...button.dataset.turn.split(" ").map(Number)));
  }
  find("closer").addEventListener("click", () => stage.zoom(1.25));
  find("farther").addEventListener("click", () => stage.zoom(0.8));
  for (const name of ["follow", "names"]) {
    find(name).addEventListener("click", (event) => {
      stage.view[name] = !stage.view[name];
      event.target.setAttribute("aria-pressed", stage.view[name]);
      stage.stale = true;
    });
  }
  document.addEventListener("keydown", (event) => {
    if (/^(BUTTON|SELECT|INPUT|SUMMARY)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey) return;
    const act = { " ": toggle, ",": () => stage.step(-1), ".": () => stage.step(1), Escape: shrink }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  document.addEventListener("fullscreenchange", () => document.fullscreenElement || shrink());
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
  printing(stage, repaint);
}

// Paper is light, and has all players and everything that is folded up.
function printing(stage, repaint) {
  const root = document.documentElement;
  let before = null;
  addEventListener("beforeprint", () => {
    const folded = [...document.querySelectorAll("main details:not([open])")];
    before = { theme: root.dataset.theme, folded };
    root.dataset.theme = "light";
    for (const details of folded) details.open = true;
    repaint();
    stage.draw(() => true);
  });
  addEventListener("afterprint", () => {
    if (before.theme) root.dataset.theme = before.theme;
    else delete root.dataset.theme;
    for (const details of before.folded) details.open = false;
    repaint();
  });
}

// What must stay clear of the bar knows its height. On a narrow screen the bar's second half is folded.
function layOut(stage) {
  const bar = document.querySelector(".bar");
  const more = document.getElementById("more");
  const narrow = matchMedia("(max-width: 45rem)");
  const fold = () => more && (more.open = !narrow.matches);
  narrow.addEventListener("change", fold);
  fold();
  new ResizeObserver(() => {
    document.documentElement.style.setProperty("--bar", `${bar.offsetHeight}px`);
    stage.stale = true;
  }).observe(bar);
  addEventListener("resize", () => {
    stage.stale = true;
  });
}

function main() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const stage = new Stage(data);
  for (const canvas of document.querySelectorAll("canvas[data-clip]")) {
    stage.add(canvas, Number(canvas.dataset.clip), Number(canvas.dataset.stand));
  }
  const refresh = stage.clips.length ? toolbar(stage) : () => {};
  theme(stage);
  layOut(stage);
  for (const element of document.querySelectorAll("[data-map]")) new PointMap(element, data.maps[element.dataset.map], stage);
  const galleries = {};
  for (const element of document.querySelectorAll("[data-gallery]")) {
    const name = element.dataset.gallery;
    galleries[name] = new Gallery(element, data.galleries[name], data.groups, stage);
  }
  for (const button of document.querySelectorAll("[data-gallery-of]")) {
    button.addEventListener("click", () => galleries[button.dataset.galleryOf].filter(JSON.parse(button.dataset.filter)));
  }
  const frame = (now) => {
    stage.tick(now);
    refresh();
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}

main();
