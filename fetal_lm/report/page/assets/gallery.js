// The images at the ends and in the middle of each model's errors, and the list of every prediction.

const EACH = DATA.galleryEach;
const PAGE_LENGTH = 20;
let listStart = 0;

/** Predictions of a series, the smallest mean error first; of equal ones the earlier. */
function ranked(rows) {
  return [...rows].sort((a, b) => PREDICTIONS.mean_px[a] - PREDICTIONS.mean_px[b] || a - b);
}

/** Best, median and worst as `best_median_worst` of the report chooses them; no prediction twice. */
function extremes(rows) {
  const order = ranked(rows);
  const count = order.length;
  const middle = Math.max(0, Math.floor((count - EACH) / 2));
  const cases = [["worst", order.slice(Math.max(0, count - EACH)).reverse()], ["best", order.slice(0, EACH)], ["median", order.slice(middle, middle + EACH)]];
  const taken = new Set();
  const found = {};
  // In a small table the best are taken first.
  for (const kind of ["best", "worst", "median"]) {
    found[kind] = cases.find(([name]) => name === kind)[1].filter((row) => !taken.has(row));
    found[kind].forEach((row) => taken.add(row));
  }
  return ["worst", "median", "best"].flatMap((kind) => found[kind].map((row) => [kind, row]));
}

/** Series whose pictures are shown: those of the first models, or the one that the filter chooses, whichever it is. */
function gallerySeries() {
  return shownSeries().filter((series) => chosen.series !== "all" || DATA.series[series].entry < DATA.galleryModels);
}

function drawGallery() {
  const blocks = [];
  for (const series of gallerySeries()) {
    const rows = shownRows(String(series));
    if (!rows.length) continue;
    const cards = element("div", "", { class: "cards" });
    for (const [kind, row] of extremes(rows)) {
      const card = element("button", "", { type: "button", class: "card", "data-row": row });
      card.append(picture(row), element("strong", `${kind}: ${nameOf(row)}`), element("span", `seed ${runOf(row).seed}, ${number(PREDICTIONS.mean_px[row], 1)} px, ${number(PREDICTIONS.mean_mm[row])} mm`));
      card.addEventListener("click", () => showCase(row));
      cards.append(card);
    }
    blocks.push(element("h3", DATA.series[series].label), cards);
  }
  document.getElementById("gallery").replaceChildren(...blocks);
}

function drawList() {
  const wanted = document.getElementById("list-search").value.trim().toLowerCase();
  const rows = ranked(shownRows()).reverse().filter((row) =>
    !wanted || nameOf(row).toLowerCase().includes(wanted) || IMAGES.examination[PREDICTIONS.item[row]].toLowerCase().includes(wanted));
  listStart = Math.max(0, Math.min(listStart, Math.floor((rows.length - 1) / PAGE_LENGTH) * PAGE_LENGTH));
  const page = rows.slice(listStart, listStart + PAGE_LENGTH);
  document.querySelector("#list tbody").replaceChildren(...page.map((row) => {
    const run = runOf(row);
    const first = element("td");
    const button = element("button", nameOf(row), { type: "button", class: "linked" });
    button.addEventListener("click", () => showCase(row));
    first.append(button);
    const line = element("tr");
    line.append(first, element("td", DATA.series[PREDICTIONS.series[row]].label), element("td", String(run.seed)), element("td", run.fold === null ? "–" : String(run.fold)),
      element("td", number(PREDICTIONS.mean_px[row])), element("td", number(PREDICTIONS.mean_mm[row])));
    return line;
  }));
  document.getElementById("list-place").textContent = rows.length ? `${listStart + 1} to ${listStart + page.length} of ${rows.length}` : "none";
  document.getElementById("list-previous").disabled = listStart === 0;
  document.getElementById("list-next").disabled = listStart + PAGE_LENGTH >= rows.length;
}
