"use strict";
// What the page knows, and which predictions the filters choose. Nothing here computes a statistic.

const DATA = JSON.parse(document.getElementById("data").textContent);
const PREDICTIONS = DATA.predictions;
const IMAGES = DATA.images;
const LENGTHS = ["bpd", "ofd", "hc"];
const chosen = { series: "all", seed: "all", fold: "all", size: "all" };

let uris = null;

/** The data URI of an item, or null where the page has no image of it. Megabytes: read when the first one is shown. */
function imageUri(item) {
  uris ??= JSON.parse(document.getElementById("images").textContent);
  return uris[item];
}

let maps = null;

/** The heatmaps of a prediction as an image with its place, or undefined where the page has none. */
function heatmapOf(row) {
  maps ??= JSON.parse(document.getElementById("heatmaps").textContent);
  return maps[row];
}

function runOf(row) {
  return DATA.runs[PREDICTIONS.run[row]];
}

// Hundreds of series would each go through the rows of all of them.
const rowsOf = DATA.series.map(() => []);
PREDICTIONS?.series.forEach((series, row) => rowsOf[series].push(row));
const everyRow = rowsOf.flat().sort((a, b) => a - b);

/** Numbers of the predictions that the filters choose; `series` asks for one whatever the model filter says. */
function shownRows(series = chosen.series) {
  return (series === "all" ? everyRow : rowsOf[series]).filter((row) => {
    const run = runOf(row);
    return (
      (chosen.seed === "all" || run.seed === Number(chosen.seed)) &&
      (chosen.fold === "all" || (run.fold !== null && run.fold === Number(chosen.fold))) &&
      (chosen.size === "all" || IMAGES.size[PREDICTIONS.item[row]] === Number(chosen.size))
    );
  });
}

/** Numbers of the series that the model filter chooses. */
function shownSeries() {
  return DATA.series.map((_, number) => number).filter((number) => chosen.series === "all" || number === Number(chosen.series));
}

function number(value, decimals = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(decimals);
}

function nameOf(row) {
  return IMAGES.name[PREDICTIONS.item[row]];
}

function caption(row) {
  const run = runOf(row);
  const fold = run.fold === null ? "" : `, fold ${run.fold}`;
  const missed = missedCount(row);
  return `${DATA.series[PREDICTIONS.series[row]].label}, seed ${run.seed}${fold}: ${number(PREDICTIONS.mean_px[row])} px, ` +
    `${number(PREDICTIONS.mean_mm[row])} mm${missed ? `, ${missed} undecoded` : ""}`;
}

function missedCount(row) {
  return DATA.landmarks.reduce((count, _, k) => count + ((PREDICTIONS.missed[row] >> k) & 1), 0);
}

/** An element with text, never markup. */
function element(tag, text = "", attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
