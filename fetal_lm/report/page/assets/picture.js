// One image with truth and prediction over it, in original pixels, and the dialog that shows it large.

const SVG = "http://www.w3.org/2000/svg";
const PAIRS = [[0, 1], [2, 3]];

function svgElement(tag, attributes, text = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function picture(row) {
  const item = PREDICTIONS.item[row];
  const [width, height] = [IMAGES.width[item], IMAGES.height[item]];
  // Pixel centres lie on integers. A wild prediction is cut off; its error is in the caption.
  const svg = svgElement("svg", { class: "picture", viewBox: `-0.5 -0.5 ${width} ${height}`, role: "img" });
  svg.append(svgElement("title", {}, `${nameOf(row)}; ${caption(row)}`));
  const uri = imageUri(item);
  if (uri) {
    svg.append(svgElement("image", { href: uri, x: -0.5, y: -0.5, width, height, preserveAspectRatio: "none" }));
  } else {
    svg.append(svgElement("text", { class: "absent", x: width * 0.03, y: height * 0.95, "font-size": height * 0.06 }, "image not on this page"));
  }
  const heatmap = heatmapOf(row);
  if (heatmap) {
    const [w, h] = heatmap.size;
    svg.append(svgElement("image", { class: "heatmap", href: heatmap.uri, x: -0.5, y: -0.5, width: w, height: h, preserveAspectRatio: "none", transform: `matrix(${heatmap.matrix.join(" ")})` }));
  }
  overlay(svg, IMAGES.truth[item], "truth", width);
  overlay(svg, PREDICTIONS.points[row], "prediction", width);
  return svg;
}

function overlay(svg, points, kind, width) {
  const at = (k) => [points[2 * k], points[2 * k + 1]];
  const known = (k) => points[2 * k] !== null && points[2 * k + 1] !== null;
  for (const [a, b] of PAIRS) {
    if (!known(a) || !known(b)) continue;
    const [[x1, y1], [x2, y2]] = [at(a), at(b)];
    svg.append(svgElement("line", { class: `${kind} line`, x1, y1, x2, y2 }));
  }
  const r = width * 0.013;
  for (let k = 0; k < points.length / 2; k++) {
    if (!known(k)) continue;
    const [x, y] = at(k);
    svg.append(kind === "truth"
      ? svgElement("circle", { class: kind, cx: x, cy: y, r })
      : svgElement("path", { class: kind, d: `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}` }));
  }
}

/** Shows an image; every other prediction of it is a button away. */
function showCase(row) {
  const dialog = document.getElementById("case");
  const item = PREDICTIONS.item[row];
  document.getElementById("case-title").textContent = nameOf(row);
  document.getElementById("case-picture").replaceChildren(picture(row));
  document.getElementById("case-text").textContent = `${caption(row)}. Examination ${IMAGES.examination[item]}. Errors in px of 256: ` +
    DATA.landmarks.map((name, k) => `${name} ${number(PREDICTIONS.error_px[row][k])}`).join(", ") + ".";
  document.querySelector("#case-lengths tbody").replaceChildren(...LENGTHS.map((name) => {
    const line = element("tr");
    line.append(element("th", name.toUpperCase(), { scope: "row" }), element("td", number(IMAGES[name][item])), element("td", number(PREDICTIONS[name][row])));
    return line;
  }));
  const others = PREDICTIONS.item.map((other, place) => [other, place]).filter(([other]) => other === item).map(([, place]) => place);
  document.querySelector("#case-others tbody").replaceChildren(...others.map((other) => {
    const line = element("tr", "", other === row ? { "aria-current": "true" } : {});
    const first = element("td");
    const button = element("button", DATA.series[PREDICTIONS.series[other]].label, { type: "button", class: "linked" });
    button.addEventListener("click", () => {
      showCase(other);
      document.querySelector('#case-others tr[aria-current="true"] button').focus();
    });
    first.append(button);
    line.append(first, element("td", String(runOf(other).seed)), element("td", number(PREDICTIONS.mean_px[other])), element("td", number(PREDICTIONS.mean_mm[other])));
    return line;
  }));
  dialog.dataset.row = row;
  if (!dialog.open) dialog.showModal();
}
