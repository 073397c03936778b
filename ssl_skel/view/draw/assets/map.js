// A map of clips: one mark each, alike in colour and shape where the class is; the mark under the pointer plays.

const HUES = ["left", "right", "middle", "heat"];
const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "plus"];

// Twenty-four classes differ in colour or shape; beyond that they repeat, and names tell.
function drawMark(context, x, y, size, kind, colours) {
  const shape = SHAPES[kind % SHAPES.length];
  context.fillStyle = context.strokeStyle = colours[HUES[Math.floor(kind / SHAPES.length + kind) % HUES.length]];
  context.lineWidth = size / 2.2;
  context.beginPath();
  if (shape === "circle") context.arc(x, y, size, 0, 2 * Math.PI);
  if (shape === "square") context.rect(x - size * 0.9, y - size * 0.9, size * 1.8, size * 1.8);
  if (shape === "triangle") corners(context, [[x, y - size * 1.2], [x + size * 1.1, y + size * 0.8], [x - size * 1.1, y + size * 0.8]]);
  if (shape === "diamond") corners(context, [[x, y - size * 1.3], [x + size, y], [x, y + size * 1.3], [x - size, y]]);
  if (shape === "cross") strokes(context, [[x - size, y - size, x + size, y + size], [x - size, y + size, x + size, y - size]]);
  if (shape === "plus") strokes(context, [[x - size * 1.2, y, x + size * 1.2, y], [x, y - size * 1.2, x, y + size * 1.2]]);
  if (shape === "cross" || shape === "plus") context.stroke();
  else context.fill();
}

function corners(context, points) {
  points.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
}

function strokes(context, lines) {
  for (const [x0, y0, x1, y1] of lines) {
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
  }
}

// `map` holds x and y (0 to 1), kind (class number, -1 unknown), clip (number in the page) and classes (names).
function pointMap(element, map, stage) {
  const canvas = element.querySelector("canvas");
  const told = element.querySelector("aside");
  const player = stage.add(told.querySelector("canvas"), null);
  let chosen = -1;
  let only = -1;

  const place = (at) => {
    const edge = 18;
    return [edge + map.x[at] * (canvas.clientWidth - 2 * edge), edge + map.y[at] * (canvas.clientHeight - 2 * edge)];
  };
  const draw = () => {
    const { context } = fresh(canvas);
    map.x.forEach((_, at) => {
      context.globalAlpha = only < 0 || map.kind[at] === only ? 0.85 : 0.12;
      drawMark(context, ...place(at), 4.5, Math.max(0, map.kind[at]), stage.colours);
    });
    context.globalAlpha = 1;
    if (chosen < 0) return;
    context.strokeStyle = stage.colours.ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...place(chosen), 10, 0, 2 * Math.PI);
    context.stroke();
  };
  const choose = (at) => {
    if (at === chosen) return;
    chosen = at;
    const clip = stage.clips[map.clip[at]];
    told.querySelector("h3").textContent = clip.name;
    const facts = told.querySelector("dl");
    facts.replaceChildren();
    for (const [name, value] of Object.entries(clip.facts)) {
      facts.append(Object.assign(document.createElement("dt"), { textContent: name }));
      facts.append(Object.assign(document.createElement("dd"), { textContent: value }));
    }
    stage.show(player, map.clip[at]);
    draw();
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1;
    let least = 16 ** 2;
    map.x.forEach((_, at) => {
      const [px, py] = place(at);
      const square = (px - x) ** 2 + (py - y) ** 2;
      if (square < least && (only < 0 || map.kind[at] === only)) [best, least] = [at, square];
    });
    if (best >= 0) choose(best);
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const order = map.kind.map((_, at) => at).filter((at) => only < 0 || map.kind[at] === only);
    order.sort((a, b) => map.kind[a] - map.kind[b] || a - b);
    choose(order[(order.indexOf(chosen) + step + order.length) % order.length]);
  });
  const buttons = [...element.parentElement.querySelectorAll(".classes button")];
  const marks = () => {
    for (const button of buttons) {
      const { context, width, height } = fresh(button.querySelector("canvas"));
      drawMark(context, width / 2, height / 2, 4.5, Number(button.dataset.kind), stage.colours);
    }
    draw();
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      only = only === Number(button.dataset.kind) ? -1 : Number(button.dataset.kind);
      for (const other of buttons) other.setAttribute("aria-pressed", Number(other.dataset.kind) === only);
      draw();
    });
  }
  new ResizeObserver(marks).observe(canvas);
  document.addEventListener("recolour", marks);
  marks();
}
