// A map of clips: one mark each, alike in hue and shape where a fact is; the mark under the pointer plays.

const SHAPES = ["circle", "square", "triangle", "diamond", "cross", "plus"];

// Neighbours on the circle of hues differ in shape, the last and the first too.
function shapeOf(kind, count) {
  const shapes = [6, 5, 4].find((number) => count <= number || (count - 1) % number) || 6;
  return SHAPES[kind % shapes];
}

// As many hues as values, evenly about the circle at one lightness.
function hue(kind, count, dark) {
  return `oklch(${dark ? 0.78 : 0.56} 0.15 ${(25 + (360 * kind) / count) % 360})`;
}

function drawMark(context, x, y, size, shape, colour) {
  context.fillStyle = context.strokeStyle = colour;
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

// `map` holds x and y (0 to 1), clip (number in the page) and colours (name -> one value per mark).
class PointMap {
  constructor(element, map, stage) {
    Object.assign(this, { element, map, stage, chosen: -1, only: -1, zoom: 1, left: 0, top: 0 });
    this.canvas = element.querySelector(".map > canvas");
    this.card = element.querySelector(".clip");
    this.player = stage.add(this.card.querySelector("canvas"), null);
    this.legend = element.querySelector(".classes");
    this.select = element.querySelector("select");
    for (const name of Object.keys(map.colours)) this.select.append(new Option(name, name));
    this.select.addEventListener("change", () => this.colour());
    for (const button of element.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.closer(Number(button.dataset.zoom)));
    }
    this.steer();
    this.colour();
    this.choose(this.order()[0]);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    document.addEventListener("recolour", () => this.draw());
  }

  // Colour the marks by the chosen fact, with one button for each of its values.
  colour() {
    const values = this.map.colours[this.select.value];
    this.names = [...new Set(values)].sort(inOrder);
    this.kinds = values.map((value) => this.names.indexOf(value));
    this.only = -1;
    this.legend.replaceChildren(
      ...this.names.map((name, kind) => {
        const button = document.createElement("button");
        const mark = document.createElement("canvas");
        mark.setAttribute("aria-hidden", "true");
        button.append(mark, name);
        button.setAttribute("aria-pressed", "false");
        button.addEventListener("click", () => this.alone(kind));
        return button;
      }),
    );
    this.draw();
  }

  alone(kind) {
    this.only = this.only === kind ? -1 : kind;
    [...this.legend.children].forEach((button, at) => button.setAttribute("aria-pressed", at === this.only));
    this.draw();
  }

  // Zoom about a place of the canvas, its middle by default; 0 shows all.
  closer(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = factor ? Math.max(1, Math.min(40, this.zoom * factor)) : 1;
    const [across, down] = [this.left + x / this.zoom, this.top + y / this.zoom];
    this.move(across - x / zoom, down - y / zoom, zoom);
  }

  // Nothing but the map is ever in the frame.
  move(left, top, zoom = this.zoom) {
    const inside = (value, size) => Math.max(0, Math.min(size - size / zoom, value));
    this.zoom = zoom;
    [this.left, this.top] = [inside(left, this.canvas.clientWidth), inside(top, this.canvas.clientHeight)];
    this.draw();
  }

  place(at) {
    const edge = 18;
    const x = edge + this.map.x[at] * (this.canvas.clientWidth - 2 * edge);
    const y = edge + this.map.y[at] * (this.canvas.clientHeight - 2 * edge);
    return [(x - this.left) * this.zoom, (y - this.top) * this.zoom];
  }

  draw() {
    const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
    const { context, width } = fresh(this.canvas);
    const size = Math.min(4.5, 2 + width / 400);
    this.kinds.forEach((kind, at) => {
      context.globalAlpha = this.only < 0 || kind === this.only ? 0.85 : 0.12;
      drawMark(context, ...this.place(at), size, shapeOf(kind, this.names.length), hue(kind, this.names.length, dark));
    });
    context.globalAlpha = 1;
    [...this.legend.children].forEach((button, kind) => {
      const mark = fresh(button.firstElementChild);
      drawMark(mark.context, mark.width / 2, mark.height / 2, 4.5, shapeOf(kind, this.names.length), hue(kind, this.names.length, dark));
    });
    if (this.chosen < 0) return;
    context.strokeStyle = this.stage.colours.ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...this.place(this.chosen), 10, 0, 2 * Math.PI);
    context.stroke();
  }

  choose(at) {
    if (at === this.chosen || at === undefined) return;
    this.chosen = at;
    nameCard(this.card, this.stage.clips[this.map.clip[at]]);
    this.stage.show(this.player, this.map.clip[at]);
    this.draw();
  }

  // Marks by value of the fact; only those of the selected value, if any.
  order() {
    const shown = this.kinds.map((_, at) => at).filter((at) => this.only < 0 || this.kinds[at] === this.only);
    return shown.sort((a, b) => this.kinds[a] - this.kinds[b] || a - b);
  }

  nearest(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [best, least] = [undefined, 16 ** 2];
    this.kinds.forEach((kind, at) => {
      const [px, py] = this.place(at);
      const square = (px - x) ** 2 + (py - y) ** 2;
      if (square < least && (this.only < 0 || kind === this.only)) [best, least] = [at, square];
    });
    return best;
  }

  steer() {
    const { canvas } = this;
    gestures(canvas, {
      drag: (dx, dy) => this.move(this.left - dx / this.zoom, this.top - dy / this.zoom),
      pinch: (factor) => this.closer(factor),
      zoom: (factor, event) => this.closer(factor, event.offsetX, event.offsetY),
    });
    for (const kind of ["pointermove", "pointerdown"]) {
      canvas.addEventListener(kind, (event) => {
        if (kind === "pointerdown" || !event.buttons) this.choose(this.nearest(event));
      });
    }
    const zooms = { "+": 1.5, "-": 1 / 1.5, 0: 0 };
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || !(event.key in zooms || event.key in steps)) return;
      event.preventDefault();
      if (event.key in zooms) return this.closer(zooms[event.key]);
      const order = this.order();
      this.choose(order[(order.indexOf(this.chosen) + steps[event.key] + order.length) % order.length]);
    });
  }
}
