// A clip as the page carries it, and how one moment of it is drawn.

const MISSING = -32768;
const SMOOTH = 25; // clips of fewer frames a second are drawn between their frames too

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

class Clip {
  constructor(packed, layout) {
    Object.assign(this, packed);
    this.layout = layout;
    this.duration = this.frames / this.fps;
    this.between = this.fps < SMOOTH ? Math.ceil(SMOOTH / this.fps) : 1;
    this.ready = false;
  }

  // Coordinates are decoded when a clip is first drawn, so that a page of many clips opens at once.
  prepare() {
    if (this.ready) return;
    this.numbers = new Int16Array(bytesOf(this.joints).buffer);
    this.warmth = this.heat ? new Int8Array(bytesOf(this.heat).buffer) : null;
    this.count = this.layout.parents.length;
    this.joints = this.heat = null;
    this.measure();
    this.ready = true;
  }

  // Joint of a person at a frame as [x, y, z], or null where it is not drawn.
  point(person, frame, joint) {
    const at = ((person * this.frames + frame) * this.count + joint) * 3;
    if (this.numbers[at] === MISSING) return null;
    return [0, 1, 2].map((axis) => this.numbers[at + axis] * this.step + this.middle[axis]);
  }

  // The same at a moment between two frames.
  pointAt(person, moment, joint) {
    const frame = Math.floor(moment);
    const before = this.point(person, frame, joint);
    const share = moment - frame;
    const after = share > 0 && before && this.point(person, Math.min(frame + 1, this.frames - 1), joint);
    return after ? before.map((value, axis) => value + share * (after[axis] - value)) : before;
  }

  // How far a joint is from an even share of attention, -1 to 1.
  warm(person, moment, joint) {
    return this.warmth[(person * this.frames + Math.floor(moment)) * this.count + joint] / 127;
  }

  // A few hundred frames show the size of a long clip.
  stride() {
    return Math.ceil(this.frames / 300);
  }

  // Floor, the path that the camera follows (x and z; height stays, so that jumps are seen), and sizes to fit.
  measure() {
    this.path = [];
    let last = null;
    const heights = [];
    const lowest = [];
    const stride = this.stride();
    for (let frame = 0; frame < this.frames; frame++) {
      const roots = [];
      const here = [];
      for (let person = 0; person < this.persons; person++) {
        const root = this.point(person, frame, this.layout.centre);
        if (root) roots.push(root);
        for (let joint = 0; joint < this.count && frame % stride === 0; joint++) {
          const point = this.point(person, frame, joint);
          if (point) here.push(point[1]);
        }
      }
      if (here.length) lowest.push(Math.min(...here));
      heights.push(...here);
      if (roots.length) last = [0, 2].map((axis) => roots.reduce((sum, root) => sum + root[axis], 0) / roots.length);
      this.path.push(last);
    }
    const first = this.path.find((place) => place) || [this.middle[0], this.middle[2]];
    this.path = this.path.map((place) => place || first);
    // The feet are the lowest joints and stand most of the time: neither a jump nor a stray joint moves the floor.
    this.floor = quantile(lowest, 0.5);
    const [low, high] = [Math.min(this.floor, quantile(heights, 0.01)), quantile(heights, 0.99)];
    this.middleHeight = (low + high) / 2;
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
    return Math.sqrt(quantile(squares, 0.99)) || 1;
  }
}

function quantile(values, share) {
  if (!values.length) return 0;
  values.sort((a, b) => a - b);
  return values[Math.floor(share * (values.length - 1))];
}

// Colours of the sheet, read again after the theme changed.
function palette() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "card", "edge", "ink", "soft", "left", "right", "middle", "floor", "shade", "accent", "more", "less"];
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

// Seen from the camera that recorded: x grows to its left, y up, z away from it. `view` turns, tilts, zooms and moves;
// `player.stand` is the clip whose size and path the camera follows.
function drawSkeleton(player, moment, view, colours) {
  const { canvas, clip, stand } = player;
  clip.prepare();
  stand.prepare();
  const { context, width, height } = fresh(canvas);
  const [x0, z0] = view.follow ? stand.path[Math.min(Math.floor(moment), stand.frames - 1)] : stand.still;
  const reach = view.follow ? stand.reach.follow : stand.reach.still;
  const side = Math.min(width, height);
  const size = (0.45 * side * view.zoom) / reach;
  const [middle, centre] = [width / 2 + view.across * side, height / 2 + view.down * side];
  const [cosTurn, sinTurn, cosTilt, sinTilt] = [
    Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt),
  ];
  const project = ([x, y, z]) => {
    const [dx, dy, dz] = [x - x0, y - stand.middleHeight, z - z0];
    const across = dx * cosTurn + dz * sinTurn;
    const away = dz * cosTurn - dx * sinTurn;
    const up = dy * cosTilt + away * sinTilt;
    return [middle - across * size, centre - up * size, away * cosTilt - dy * sinTilt];
  };
  const bodies = Array.from({ length: clip.persons }, (_, person) =>
    Array.from({ length: clip.count }, (_, joint) => clip.pointAt(person, moment, joint)),
  );
  drawFloor(context, project, stand.floor, x0, z0, reach, colours);
  for (const body of bodies) drawShade(context, clip, body, stand.floor, project, colours);
  player.points = bodies.map((body) => body.map((point) => point && project(point)));
  for (let person = clip.persons - 1; person >= 0; person--) {
    drawPerson(context, clip, person, moment, player.points[person], colours);
  }
  drawWords(context, player, moment, view, height, colours);
}

// A disc of lines half a metre apart that stay in the room, so that a walk is seen even where the camera follows.
function drawFloor(context, project, floor, x0, z0, reach, colours) {
  const gap = reach < 0.4 ? 0.05 : 0.5 * Math.max(1, Math.round(reach / 1.5)); // a hand stands on centimetres
  const radius = reach + gap / 2;
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
  for (let x = Math.ceil((x0 - radius) / gap) * gap; x < x0 + radius; x += gap) {
    const half = Math.sqrt(radius ** 2 - (x - x0) ** 2);
    line([x, floor, z0 - half], [x, floor, z0 + half]);
  }
  for (let z = Math.ceil((z0 - radius) / gap) * gap; z < z0 + radius; z += gap) {
    const half = Math.sqrt(radius ** 2 - (z - z0) ** 2);
    line([x0 - half, floor, z], [x0 + half, floor, z]);
  }
  context.stroke();
}

// What a body's shadow is at noon: it shows where the body stands, and how high it is above the floor.
function drawShade(context, clip, body, floor, project, colours) {
  context.strokeStyle = colours.shade;
  context.lineWidth = 4;
  context.lineCap = "round";
  context.beginPath();
  clip.layout.parents.forEach((parent, joint) => {
    if (joint === parent || !body[joint] || !body[parent]) return;
    const [a, b] = [joint, parent].map((at) => project([body[at][0], floor, body[at][2]]));
    context.moveTo(a[0], a[1]);
    context.lineTo(b[0], b[1]);
  });
  context.stroke();
}

function drawPerson(context, clip, person, moment, points, colours) {
  const colour = { L: colours.left, R: colours.right, C: colours.middle };
  const { parents, sides } = clip.layout;
  const bones = parents
    .map((parent, joint) => [joint, parent])
    .filter(([joint, parent]) => joint !== parent && points[joint] && points[parent])
    .sort((a, b) => points[b[0]][2] + points[b[1]][2] - points[a[0]][2] - points[a[1]][2]);
  context.lineWidth = person ? 1.4 : 3.2;
  context.lineCap = "round";
  for (const [joint, parent] of bones) {
    context.strokeStyle = clip.warmth ? colours.soft : colour[sides[joint]];
    context.setLineDash(sides[joint] === "L" ? [6, 5] : []);
    context.beginPath();
    context.moveTo(points[joint][0], points[joint][1]);
    context.lineTo(points[parent][0], points[parent][1]);
    context.stroke();
  }
  context.setLineDash([]);
  points.forEach((point, joint) => {
    if (!point) return;
    const warm = clip.warmth ? clip.warm(person, moment, joint) : 0;
    context.beginPath();
    context.arc(point[0], point[1], (person ? 2.2 : 3) + 9 * Math.abs(warm), 0, 2 * Math.PI);
    context.globalAlpha = warm ? 0.85 : 1;
    context.fillStyle = warm ? (warm > 0 ? colours.more : colours.less) : clip.warmth ? colours.soft : colour[sides[joint]];
    context.fill();
    context.globalAlpha = 1;
  });
}

// The clip's own second, and names of joints: of the one that is pointed at, or of all.
function drawWords(context, player, moment, view, height, colours) {
  const { clip, points, pointed } = player;
  context.font = "12px system-ui, sans-serif";
  context.fillStyle = colours.soft;
  context.fillText(`${(moment / clip.fps).toFixed(1)} s`, 4, height - 6);
  const named = view.names ? clip.layout.joints.map((_, joint) => [0, joint]) : pointed ? [pointed] : [];
  context.lineWidth = 3;
  context.strokeStyle = colours.card;
  context.fillStyle = colours.ink;
  for (const [person, joint] of named) {
    const point = points[person][joint];
    if (!point) continue;
    const name = clip.layout.joints[joint].replaceAll("_", " ");
    context.strokeText(name, point[0] + 6, point[1] - 4);
    context.fillText(name, point[0] + 6, point[1] - 4);
  }
}
