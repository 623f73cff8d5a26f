// What draws: on a canvas for the screen, as SVG text for a file. Both know lines, areas, marks and texts.
export class CanvasPen {
  constructor(context, width, height) { Object.assign(this, { context, width, height }); }

  clear() { this.context.clearRect(0, 0, this.width, this.height); }

  within([left, top, right, bottom], draw) {
    this.context.save();
    this.context.beginPath();
    this.context.rect(left, top, right - left, bottom - top);
    this.context.clip();
    draw();
    this.context.restore();
  }

  line(points, { colour, width = 1.5, dash = [], alpha = 1 }) {
    const { context } = this;
    context.globalAlpha = alpha;
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.beginPath();
    let down = false;
    for (let index = 0; index < points.length; index += 2) {
      const x = points[index], y = points[index + 1];
      if (!Number.isFinite(y) || !Number.isFinite(x)) { down = false; continue; }
      if (down) context.lineTo(x, y); else context.moveTo(x, y);
      down = true;
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  area(points, { colour, alpha }) {
    const { context } = this;
    context.globalAlpha = alpha;
    context.fillStyle = colour;
    context.beginPath();
    for (let index = 0; index < points.length; index += 2) context.lineTo(points[index], points[index + 1]);
    context.fill();
    context.globalAlpha = 1;
  }

  dot(x, y, radius, colour, alpha = 1) {
    this.context.globalAlpha = alpha;
    this.context.fillStyle = colour;
    this.context.beginPath();
    this.context.arc(x, y, radius, 0, 2 * Math.PI);
    this.context.fill();
    this.context.globalAlpha = 1;
  }

  box(x, y, width, height, colour, alpha = 1) {
    this.context.globalAlpha = alpha;
    this.context.fillStyle = colour;
    this.context.fillRect(x, y, width, height);
    this.context.globalAlpha = 1;
  }

  text(text, x, y, { colour, align = "left", size = 11, weight = 400 }) {
    this.context.fillStyle = colour;
    this.context.font = `${weight} ${size}px system-ui, sans-serif`;
    this.context.textAlign = align;
    this.context.textBaseline = "middle";
    this.context.fillText(text, x, y);
  }
}

export class SvgPen {
  constructor(width, height, background) {
    Object.assign(this, { width, height, parts: [`<rect width="${width}" height="${height}" fill="${background}"/>`], clips: 0 });
  }

  clear() {}

  within([left, top, right, bottom], draw) {
    const id = `c${(this.clips += 1)}`;
    this.parts.push(`<clipPath id="${id}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/></clipPath><g clip-path="url(#${id})">`);
    draw();
    this.parts.push("</g>");
  }

  line(points, { colour, width = 1.5, dash = [], alpha = 1 }) {
    this.parts.push(`<path d="${path(points)}" fill="none" stroke="${colour}" stroke-width="${width}" stroke-linejoin="round"${dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : ""}${alpha < 1 ? ` opacity="${alpha}"` : ""}/>`);
  }

  area(points, { colour, alpha }) { this.parts.push(`<path d="${path(points)}Z" fill="${colour}" opacity="${alpha}"/>`); }

  dot(x, y, radius, colour, alpha = 1) { this.parts.push(`<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${radius}" fill="${colour}"${alpha < 1 ? ` opacity="${alpha}"` : ""}/>`); }

  box(x, y, width, height, colour, alpha = 1) { this.parts.push(`<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" fill="${colour}"${alpha < 1 ? ` opacity="${alpha}"` : ""}/>`); }

  text(text, x, y, { colour, align = "left", size = 11, weight = 400 }) {
    const anchor = { left: "start", right: "end", center: "middle" }[align];
    this.parts.push(`<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" fill="${colour}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" dominant-baseline="middle">${escape(text)}</text>`);
  }

  toString() { return `<svg xmlns="http://www.w3.org/2000/svg" width="${this.width}" height="${this.height}" viewBox="0 0 ${this.width} ${this.height}" font-family="system-ui, sans-serif">${this.parts.join("")}</svg>`; }
}

function path(points) {
  let text = "", pen = "M";
  for (let index = 0; index < points.length; index += 2) {
    if (!Number.isFinite(points[index + 1]) || !Number.isFinite(points[index])) { pen = "M"; continue; }
    text += `${pen}${points[index].toFixed(1)} ${points[index + 1].toFixed(1)}`;
    pen = "L";
  }
  return text;
}

function escape(text) { return String(text).replace(/[&<>"]/g, (each) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[each]); }

// A canvas at the size of its frame, sharp on any screen, wiped.
export function canvas(element, width, height) {
  const ratio = Math.min(devicePixelRatio || 1, 3);
  if (element.width !== Math.round(width * ratio) || element.height !== Math.round(height * ratio)) {
    element.width = Math.round(width * ratio);
    element.height = Math.round(height * ratio);
  }
  const context = element.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const pen = new CanvasPen(context, width, height);
  pen.clear();
  return pen;
}
