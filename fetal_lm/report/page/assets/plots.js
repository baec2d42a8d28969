// What all plots share (colours, clicks, keys, drawing only what is in view), and the plots of errors.

const DASHES = ["solid", "dash", "dashdot", "dot"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"];
const THRESHOLDS_MM = [1, 2, 3, 4];
const SMALLEST_ERROR = 0.1;
const plots = new Map();

/** Text that Plotly shows as it is: it reads some HTML. */
function plain(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function colourOf(entry) {
  const colour = DATA.colours[entry % DATA.colours.length];
  return colour === "#000000" ? css("--ink") : colour;
}

function isNarrow() {
  return window.innerWidth <= 600;
}

/** Axes whose unit or type may change name both in `uirevision`, or Plotly would keep the old numbers of a zoom. */
function layout(x, y, more = {}) {
  const axis = { gridcolor: css("--line"), zeroline: false, automargin: true, linecolor: css("--line") };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), size: isNarrow() ? 11 : 13, family: "system-ui, sans-serif" },
    margin: { l: 54, r: 14, t: 14, b: 46 }, hovermode: "closest", uirevision: "same",
    // A finger that scrolls must not zoom.
    dragmode: isNarrow() ? false : "zoom",
    hoverlabel: { align: "left" },
    legend: { orientation: "h", y: -0.22, x: 0, yanchor: "top" },
    xaxis: { ...axis, ...x, title: { text: x.title, standoff: 6 } }, yaxis: { ...axis, ...y, title: { text: y.title, standoff: 4 } },
    ...more,
  };
}

/** Registers a plot; `make` gives its traces and layout for the present filters. */
function addPlot(id, make) {
  const div = document.getElementById(id);
  if (!div) return;
  const plot = { div, make, isStale: true, isNear: false, isWired: false, cursor: [0, -1] };
  plots.set(id, plot);
  div.addEventListener("keydown", (event) => onKey(plot, event));
  nearby.observe(div);
}

const nearby = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const plot = plots.get(entry.target.id);
    plot.isNear = entry.isIntersecting;
    draw(plot);
  }
}, { rootMargin: "300px" });

function draw(plot) {
  if (!plot.isNear || !plot.isStale) return;
  plot.isStale = false;
  const { traces, layout } = plot.make();
  // Longer, it tells no line from another, leaves the plot no room and takes seconds.
  if (traces.filter((trace) => trace.showlegend !== false).length > DATA.legendLines) layout.showlegend = false;
  Plotly.react(plot.div, traces, layout, { displayModeBar: false, responsive: true });
  plot.cursor = [0, -1];
  if (plot.isWired) return;
  plot.isWired = true;
  plot.div.on("plotly_click", (event) => {
    const row = event.points[0].customdata;
    if (Number.isInteger(row)) showCase(row);
  });
}

function redraw(...ids) {
  for (const [id, plot] of plots) {
    if (ids.length && !ids.includes(id)) continue;
    plot.isStale = true;
    draw(plot);
  }
}

function onKey(plot, event) {
  const traces = plot.div.data ?? [];
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  const [curve, point] = plot.cursor;
  if (event.key === "Enter" && point >= 0) {
    const row = traces[curve]?.customdata?.[point];
    if (Number.isInteger(row)) showCase(row);
    return;
  }
  const step = steps[event.key];
  if (!step || !traces.length) return;
  event.preventDefault();
  // Filters may leave a trace without points.
  let next = (curve + step[0] + traces.length) % traces.length;
  for (let tried = 0; !traces[next].x.length && tried < traces.length; tried++) next = (next + (step[0] || 1) + traces.length) % traces.length;
  const count = traces[next].x.length;
  if (!count) return;
  // A hundred steps cross any curve; Shift goes point by point.
  const stride = event.shiftKey ? 1 : Math.max(1, Math.floor(count / 100));
  const place = step[0] ? Math.min(Math.max(point, 0), count - 1) : Math.min(Math.max(point + step[1] * (point < 0 ? 1 : stride), 0), count - 1);
  plot.cursor = [next, place];
  Plotly.Fx.hover(plot.div, [{ curveNumber: next, pointNumber: place }]);
  const row = traces[next].customdata?.[place];
  const text = Number.isInteger(row) ? `${nameOf(row)}; ${caption(row)}` : `${traces[next].x[place]}: ${traces[next].y[place]}`;
  document.getElementById("spoken-point").textContent = text;
}

function hoverText(row) {
  return `${plain(nameOf(row))}<br>${plain(caption(row))}`;
}

/** One point per landmark of a series, sorted by error: [error, prediction, succeeds at that error]. */
function sortedErrors(series, unit) {
  const found = [];
  for (const row of shownRows(String(series))) {
    PREDICTIONS[`error_${unit}`][row].forEach((error, k) => {
      if (error !== null) found.push([error, row, !((PREDICTIONS.missed[row] >> k) & 1)]);
    });
  }
  return found.sort((a, b) => a[0] - b[0]);
}

function lineOf(series) {
  const { entry, primary } = DATA.series[series];
  return { color: colourOf(entry), width: primary ? 2.4 : 1.3, dash: DASHES[entry % DASHES.length] };
}

function distribution() {
  const unit = document.getElementById("distribution-unit").value;
  const type = document.getElementById("distribution-axis").value;
  const traces = shownSeries().map((series) => {
    const errors = sortedErrors(series, unit);
    return {
      name: plain(DATA.series[series].label), mode: "lines", type: "scatter", line: { ...lineOf(series), shape: "hv" },
      // What is smaller than a logarithmic axis begins is counted at its left end.
      x: errors.map(([error]) => (type === "log" ? Math.max(error, SMALLEST_ERROR) : error)),
      y: errors.map((_, place) => (100 * (place + 1)) / errors.length),
      customdata: errors.map(([, row]) => row), text: errors.map(([, row]) => hoverText(row)),
      hovertemplate: `%{y:.1f} % at %{x:.2f} ${unit}<br>%{text}<extra></extra>`,
    };
  });
  const x = { title: `error, ${unit === "px" ? "px of 256" : "mm"}`, type, dtick: type === "log" ? "D2" : undefined, uirevision: unit + type };
  return { traces, layout: layout(x, { title: "landmarks, %", range: [0, 101] }) };
}

function success() {
  let unknown = 0;
  const traces = shownSeries().map((series) => {
    const errors = sortedErrors(series, "mm");
    unknown = Math.max(unknown, shownRows(String(series)).length - errors.length / DATA.landmarks.length);
    const good = errors.filter(([, , succeeds]) => succeeds);
    return {
      name: plain(DATA.series[series].label), mode: "lines", type: "scatter", line: { ...lineOf(series), shape: "hv" },
      x: good.map(([error]) => error), y: good.map((_, place) => (100 * (place + 1)) / errors.length),
      customdata: good.map(([, row]) => row), text: good.map(([, row]) => hoverText(row)),
      hovertemplate: "%{y:.1f} % within %{x:.2f} mm<br>%{text}<extra></extra>",
    };
  });
  document.getElementById("success-unknown").textContent = unknown ? `${unknown} predictions of each model are of images without a pixel spacing and are not in it.` : "";
  const shapes = THRESHOLDS_MM.map((mm) => ({ type: "line", x0: mm, x1: mm, y0: 0, y1: 1, yref: "paper", layer: "below", line: { color: css("--soft"), width: 1, dash: "dot" } }));
  return { traces, layout: layout({ title: "within, mm", range: [0, 10], dtick: 1 }, { title: "landmarks, %", range: [0, 101] }, { shapes }) };
}

function sizes() {
  const isMm = IMAGES.hc.some((length) => length !== null);
  const error = isMm ? PREDICTIONS.mean_mm : PREDICTIONS.mean_px;
  let unknown = 0;
  const traces = shownSeries().map((series) => {
    const every = shownRows(String(series));
    const rows = every.filter((row) => IMAGES.hc[PREDICTIONS.item[row]] !== null);
    unknown += every.length - rows.length;
    const { entry, label, primary } = DATA.series[series];
    return {
      name: plain(label), mode: "markers", type: "scatter", x: rows.map((row) => IMAGES.hc[PREDICTIONS.item[row]]), y: rows.map((row) => error[row]),
      marker: { color: colourOf(entry), symbol: SYMBOLS[entry % SYMBOLS.length] + (primary ? "" : "-open"), size: 6, opacity: 0.65 },
      customdata: rows, text: rows.map(hoverText), hovertemplate: "HC %{x:.0f} mm<br>%{text}<extra></extra>",
    };
  });
  document.getElementById("sizes-unknown").textContent = unknown ? `${unknown} predictions are of images without a pixel spacing and have no place here.` : "";
  return { traces, layout: layout({ title: "true circumference, mm" }, { title: `mean error, ${isMm ? "mm" : "px"}`, rangemode: "tozero" }) };
}

function learningCurves() {
  const panel = document.getElementById("curves-panel").value;
  const type = document.getElementById("curves-axis").value;
  const entries = new Set(shownSeries().map((series) => DATA.series[series].entry));
  const named = new Set();
  const traces = [];
  for (const line of DATA.curves.lines) {
    if (line.panel !== panel || !entries.has(line.entry)) continue;
    if (chosen.seed !== "all" && line.seed !== Number(chosen.seed)) continue;
    if (chosen.fold !== "all" && line.fold !== Number(chosen.fold)) continue;
    traces.push({
      name: plain(DATA.entries[line.entry]), legendgroup: String(line.entry), showlegend: !named.has(line.entry), x: line.x, y: line.y, type: "scatter",
      // One epoch is no line.
      mode: line.x.length === 1 ? "markers" : "lines", opacity: 0.8, line: { color: colourOf(line.entry), width: 1.6, dash: DASHES[line.entry % DASHES.length] },
      hovertemplate: `%{y:.4g} after epoch %{x}<br>${plain(line.name)}<extra></extra>`,
    });
    named.add(line.entry);
  }
  return { traces, layout: layout({ title: "epoch" }, { title: plain(panel), type, dtick: type === "log" ? "D2" : undefined, uirevision: panel + type }) };
}
