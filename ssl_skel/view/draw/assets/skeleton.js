// A clip as the page carries it, and how one frame of it is drawn.

const MISSING = -32768;

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

class Clip {
  constructor(packed, layout) {
    Object.assign(this, packed);
    this.layout = layout;
    this.duration = this.frames / this.fps;
    this.ready = false;
  }

  // Coordinates are decoded when a clip is first drawn, so that a page of many clips opens at once.
  prepare() {
    if (this.ready) return;
    this.numbers = new Int16Array(bytesOf(this.joints).buffer);
    this.warmth = this.heat ? bytesOf(this.heat) : null;
    this.count = this.layout.parents.length;
    this.joints = this.heat = null;
    this.measure();
    this.ready = true;
  }

  // Joint of a person at a frame as [x, y, z], or null where it shall not be drawn.
  point(person, frame, joint) {
    const at = ((person * this.frames + frame) * this.count + joint) * 3;
    if (this.numbers[at] === MISSING) return null;
    return [0, 1, 2].map((axis) => this.numbers[at + axis] * this.step + this.middle[axis]);
  }

  warm(person, frame, joint) {
    return this.warmth ? this.warmth[(person * this.frames + frame) * this.count + joint] / 255 : 0;
  }

  // Some hundred frames tell the size of a long clip.
  stride() {
    return Math.ceil(this.frames / 300);
  }

  // Floor, the path that the camera follows (x and z; height stays, so that jumps are seen), and sizes to fit.
  measure() {
    this.path = [];
    let last = null;
    const heights = [];
    const stride = this.stride();
    for (let frame = 0; frame < this.frames; frame++) {
      const roots = [];
      for (let person = 0; person < this.persons; person++) {
        const root = this.point(person, frame, this.layout.centre);
        if (root) roots.push(root);
        for (let joint = 0; joint < this.count && frame % stride === 0; joint++) {
          const point = this.point(person, frame, joint);
          if (point) heights.push(point[1]);
        }
      }
      if (roots.length) last = [0, 2].map((axis) => roots.reduce((sum, root) => sum + root[axis], 0) / roots.length);
      this.path.push(last);
    }
    const first = this.path.find((place) => place) || [this.middle[0], this.middle[2]];
    this.path = this.path.map((place) => place || first);
    heights.sort((a, b) => a - b);
    const share = (part) => (heights.length ? heights[Math.floor(part * (heights.length - 1))] : 0);
    this.floor = share(0.01);
    this.middleHeight = (share(0.01) + share(0.99)) / 2;
    this.still = [0, 1].map((axis) => this.path.reduce((sum, place) => sum + place[axis], 0) / this.frames);
    this.reach = { follow: this.reachAround((frame) => this.path[frame]), still: this.reachAround(() => this.still) };
  }

  // Radius that holds 99 % of the joints: a sensor's jump does not make everything else small.
  reachAround(centre) {
    const squares = [];
    for (let person = 0; person < this.persons; person++) {
      for (let frame = 0; frame < this.frames; frame += this.stride()) {
        const [x, z] = centre(frame);
        for (let joint = 0; joint < this.count; joint++) {
          const point = this.point(person, frame, joint);
          if (point) squares.push((point[0] - x) ** 2 + (point[1] - this.middleHeight) ** 2 + (point[2] - z) ** 2);
        }
      }
    }
    squares.sort((a, b) => a - b);
    return Math.sqrt(squares[Math.floor(0.99 * (squares.length - 1))] || 1) || 1;
  }
}

// Colours of the sheet, read anew after the theme changed.
function palette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "card", "edge", "ink", "soft", "left", "right", "middle", "floor", "accent", "heat"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// The canvas's context, cleared, in units of CSS pixels.
function fresh(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

// Seen from the camera that recorded: x grows to its left, y up, z away from it. `view` turns and tilts; `stand` is
// the clip whose size and path the camera keeps to.
function drawSkeleton(canvas, clip, stand, frame, view, colours) {
  clip.prepare();
  stand.prepare();
  const { context, width, height } = fresh(canvas);
  const [x0, z0] = view.follow ? stand.path[Math.min(frame, stand.frames - 1)] : stand.still;
  const reach = view.follow ? stand.reach.follow : stand.reach.still;
  const size = (0.45 * Math.min(width, height)) / reach;
  const [cosTurn, sinTurn, cosTilt, sinTilt] = [
    Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt),
  ];
  const project = ([x, y, z]) => {
    const [dx, dy, dz] = [x - x0, y - stand.middleHeight, z - z0];
    const across = dx * cosTurn + dz * sinTurn;
    const away = dz * cosTurn - dx * sinTurn;
    const up = dy * cosTilt + away * sinTilt;
    return [width / 2 - across * size, height / 2 - up * size, away * cosTilt - dy * sinTilt];
  };
  drawFloor(context, project, stand.floor, x0, z0, reach, colours);
  for (let person = clip.persons - 1; person >= 0; person--) {
    const points = Array.from({ length: clip.count }, (_, joint) => {
      const point = clip.point(person, frame, joint);
      return point && project(point);
    });
    drawPerson(context, clip, person, frame, points, colours);
  }
}

// Lines half a unit apart that stay in the room, so that a walk is seen even where the camera follows.
function drawFloor(context, project, floor, x0, z0, reach, colours) {
  const gap = 0.5 * Math.max(1, Math.round(reach / 1.5));
  const range = (middle) => [Math.ceil((middle - reach) / gap), Math.floor((middle + reach) / gap)];
  const [[left, right], [near, far]] = [range(x0), range(z0)];
  context.strokeStyle = colours.floor;
  context.lineWidth = 1;
  context.lineCap = "butt";
  context.setLineDash([]);
  context.beginPath();
  const line = (from, to) => {
    const [a, b] = [project(from), project(to)];
    context.moveTo(a[0], a[1]);
    context.lineTo(b[0], b[1]);
  };
  for (let at = left; at <= right; at++) line([at * gap, floor, near * gap], [at * gap, floor, far * gap]);
  for (let at = near; at <= far; at++) line([left * gap, floor, at * gap], [right * gap, floor, at * gap]);
  context.stroke();
}

function drawPerson(context, clip, person, frame, points, colours) {
  const colour = { L: colours.left, R: colours.right, C: colours.middle };
  const { parents, sides } = clip.layout;
  const bones = parents
    .map((parent, joint) => [joint, parent])
    .filter(([joint, parent]) => joint !== parent && points[joint] && points[parent])
    .sort((a, b) => points[b[0]][2] + points[b[1]][2] - points[a[0]][2] - points[a[1]][2]);
  context.lineWidth = person ? 1.4 : 3.2;
  context.lineCap = "round";
  for (const [joint, parent] of bones) {
    context.strokeStyle = colour[sides[joint]];
    context.setLineDash(sides[joint] === "L" ? [6, 5] : []);
    context.beginPath();
    context.moveTo(points[joint][0], points[joint][1]);
    context.lineTo(points[parent][0], points[parent][1]);
    context.stroke();
  }
  context.setLineDash([]);
  points.forEach((point, joint) => {
    if (!point) return;
    const warm = clip.warm(person, frame, joint);
    context.beginPath();
    context.arc(point[0], point[1], (person ? 2.2 : 3) + 9 * warm, 0, 2 * Math.PI);
    context.globalAlpha = clip.warmth ? 0.35 + 0.6 * warm : 1;
    context.fillStyle = clip.warmth ? colours.heat : colour[sides[joint]];
    context.fill();
    context.globalAlpha = 1;
  });
}
